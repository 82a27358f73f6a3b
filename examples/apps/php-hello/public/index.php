<?php
// The smallest PHP app: pages in public/, nothing to install.
echo "Hello from PHP\n";
if (isset($_GET["session"])) {
    session_start();
    $_SESSION["visits"] = ($_SESSION["visits"] ?? 0) + 1;
    echo "visit {$_SESSION["visits"]}\n";
}
