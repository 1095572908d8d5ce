<?php
// The package and its SDK, for the tests and for the processes that they start.

declare(strict_types=1);

require_once __DIR__ . '/../autoload.php';
require_once getenv('AMQP1_BABELQUEUE_SDK') ?: __DIR__ . '/sdk.php';
