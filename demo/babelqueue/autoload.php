<?php

/** Composer's autoloader after `composer install`; without it, the signatures of the SDK that the package's tests have. */

declare(strict_types=1);

require is_file(__DIR__ . '/vendor/autoload.php')
    ? __DIR__ . '/vendor/autoload.php'
    : __DIR__ . '/../../integrations/babelqueue/tests/load.php';
