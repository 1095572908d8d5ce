<?php

/** Laravel as Debian packages it, this package, an application, and the broker matrix of tests/Support. */

declare(strict_types=1);

require __DIR__ . '/../../../tests/bootstrap.php';

// AMQP1_TEST_LARAVEL names another version's autoloader.
require_once getenv('AMQP1_TEST_LARAVEL') ?: __DIR__ . '/laravel.php';
require_once __DIR__ . '/../autoload.php';

spl_autoload_register(static function (string $class): void {
    $prefix = 'Amqp1\\Laravel\\Tests\\';
    if (str_starts_with($class, $prefix)) {
        $file = __DIR__ . '/' . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
        if (is_file($file)) {
            require $file;
        }
    }
});
