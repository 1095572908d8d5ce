<?php
// Loads the signatures of queue-interop in interop.php. With AMQP1_QUEUE_INTEROP, queue-interop itself: the path of a file that
// loads it, such as vendor/autoload.php.

declare(strict_types=1);

require __DIR__ . '/../../../tests/bootstrap.php';
require __DIR__ . '/load.php';
require __DIR__ . '/Application.php';
