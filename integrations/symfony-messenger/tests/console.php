<?php

/** bin/console of the tests' application. */

declare(strict_types=1);

use Amqp1\SymfonyMessenger\Tests\App\Kernel;
use Symfony\Bundle\FrameworkBundle\Console\Application;
use Symfony\Component\Console\Input\ArgvInput;

error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);
require __DIR__ . '/bootstrap.php';

(new Application(new Kernel('prod', false)))->run(new ArgvInput());
