# A server in a few lines, found through Bundler: what is shown is the gem.
require "greeting"
require "socket"

server = TCPServer.new(ENV.fetch("BIND_ADDRESS"), ENV.fetch("PORT").to_i)
loop do
  Thread.new(server.accept) do |client|
    nil until [nil, "\r\n"].include?(client.gets)
    body = Greeting.to("Bundler")
    client.write "HTTP/1.1 200 OK\r\ncontent-length: #{body.bytesize}\r\nconnection: close\r\n\r\n#{body}"
    client.close
  end
end
