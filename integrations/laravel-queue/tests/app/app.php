<?php

/** The application of these tests: Laravel's own, with what it writes below TEST_STORAGE. */

declare(strict_types=1);

use Illuminate\Contracts\Console\Kernel;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Foundation\Application;

// AMQP1_TEST_LARAVEL names another version's autoloader.
require_once getenv('AMQP1_TEST_LARAVEL') ?: __DIR__ . '/../laravel.php';
require_once __DIR__ . '/../../autoload.php';

spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'App\\Jobs\\')) {
        require __DIR__ . '/jobs/' . substr($class, 9) . '.php';
    }
});

$storage = getenv('TEST_STORAGE') ?: throw new RuntimeException('TEST_STORAGE is not set');
foreach (['PACKAGES', 'SERVICES', 'CONFIG', 'ROUTES', 'EVENTS'] as $cache) {
    $_ENV["APP_{$cache}_CACHE"] = $_SERVER["APP_{$cache}_CACHE"] = "$storage/" . strtolower($cache) . '.php';
}

$app = new Application(__DIR__);
$app->useStoragePath($storage);
if (method_exists($app, 'dontMergeFrameworkConfiguration')) {
    $app->dontMergeFrameworkConfiguration(); // Laravel 11 and later; Debian's package is without those files
}
$app->singleton(Kernel::class, Illuminate\Foundation\Console\Kernel::class);
$app->singleton(ExceptionHandler::class, Illuminate\Foundation\Exceptions\Handler::class);

return $app;
