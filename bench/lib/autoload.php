<?php

declare(strict_types=1);

// Amqp1\Bench\X is bench/lib/X.php, Amqp1\Bench\Clients\X is bench/clients/X.php.
spl_autoload_register(static function (string $class): void {
    if (!str_starts_with($class, 'Amqp1\\Bench\\')) {
        return;
    }
    $name = substr($class, strlen('Amqp1\\Bench\\'));
    $file = str_starts_with($name, 'Clients\\')
        ? dirname(__DIR__) . '/clients/' . substr($name, strlen('Clients\\')) . '.php'
        : __DIR__ . "/$name.php";
    if (is_file($file)) {
        require $file;
    }
});
