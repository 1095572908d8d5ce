<?php

/** Composer's autoloader after `composer install`; without it, Laravel as Debian packages it. */

declare(strict_types=1);

if (is_file(__DIR__ . '/vendor/autoload.php')) {
    require __DIR__ . '/vendor/autoload.php';

    return;
}
require_once 'Illuminate/autoload.php';
require __DIR__ . '/../../integrations/laravel-queue/autoload.php';
spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'App\\')) {
        require __DIR__ . '/app/' . strtr(substr($class, 4), '\\', '/') . '.php';
    }
});
