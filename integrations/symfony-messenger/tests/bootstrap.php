<?php

/** Symfony as Debian packages it, this package, and the broker matrix of tests/Support. */

declare(strict_types=1);

require __DIR__ . '/../../../tests/bootstrap.php';

// AMQP1_TEST_SYMFONY names another version's autoloader.
require getenv('AMQP1_TEST_SYMFONY') ?: __DIR__ . '/symfony.php';
require __DIR__ . '/../autoload.php';

spl_autoload_register(static function (string $class): void {
    $prefix = 'Amqp1\\SymfonyMessenger\\Tests\\';
    if (str_starts_with($class, $prefix)) {
        $file = __DIR__ . '/' . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
        if (is_file($file)) {
            require $file;
        }
    }
});
