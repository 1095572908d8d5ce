<?php

/** Loads this package's classes when they are used: one `require` for those who do without Composer. */

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'Amqp1\\QueueInterop\\')) {
        $file = __DIR__ . '/src/' . strtr(substr($class, 19), '\\', '/') . '.php';
        if (is_file($file)) {
            require $file;
        }
    }
});
