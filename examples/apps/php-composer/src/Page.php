<?php

namespace Hello;

use Greeting\Greeting;

final class Page
{
    public function show(): void
    {
        echo (new Greeting("Composer"))->text();
    }
}
