<?php

require __DIR__ . "/../vendor/autoload.php";

(new Hello\Page())->show();
