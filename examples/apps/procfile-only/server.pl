# A server in a language Hop3 has no builder for, with what every machine has.
use strict;
use warnings;
use IO::Socket::INET;

open(my $file, "<", "greeting.txt") or die "greeting.txt: $!";
my $body = <$file>;
my $listener = IO::Socket::INET->new(
    LocalAddr => $ENV{BIND_ADDRESS}, LocalPort => $ENV{PORT}, Listen => 64, ReuseAddr => 1,
) or die "cannot listen: $!";
$SIG{PIPE} = "IGNORE";
while (my $client = $listener->accept) {
    while (my $line = <$client>) { last if $line =~ /^\r?\n$/; }
    print $client "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: ",
        length($body), "\r\n\r\n", $body;
    close($client);
}
