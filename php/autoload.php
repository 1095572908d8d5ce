<?php

/**
 * Loads the classes of this folder (Amqp1\Worker and what belongs to it) when they are used: one `require` for
 * those who do without Composer. The extension's own classes are there without it.
 */

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'Amqp1\\')) {
        $file = __DIR__ . '/' . strtr(substr($class, 6), '\\', '/') . '.php';
        if (is_file($file)) {
            require $file;
        }
    }
});
