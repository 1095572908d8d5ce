<?php
// The package and the interfaces, for the tests and for the processes that they start.

declare(strict_types=1);

require_once __DIR__ . '/../autoload.php';
require_once getenv('AMQP1_QUEUE_INTEROP') ?: __DIR__ . '/interop.php';
