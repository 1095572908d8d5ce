<?php
// Loads the signatures of BabelQueue's SDK and of InitPHP's queue in sdk.php. With AMQP1_BABELQUEUE_SDK, these themselves: the
// path of a file that loads them, such as vendor/autoload.php.

declare(strict_types=1);

require __DIR__ . '/../../../tests/bootstrap.php';
require __DIR__ . '/load.php';
require __DIR__ . '/Application.php';
