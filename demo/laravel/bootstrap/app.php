<?php

declare(strict_types=1);

use App\Console\Kernel;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Foundation\Application;

// The demo writes nothing below its own folder.
$var = getenv('APP_VAR') ?: throw new RuntimeException('APP_VAR must be a folder for files');
foreach (['PACKAGES', 'SERVICES', 'CONFIG', 'ROUTES', 'EVENTS'] as $cache) {
    $_ENV["APP_{$cache}_CACHE"] = $_SERVER["APP_{$cache}_CACHE"] = "$var/" . strtolower($cache) . '.php';
}

$app = new Application(dirname(__DIR__));
$app->useStoragePath($var);
$app->singleton(Illuminate\Contracts\Console\Kernel::class, Kernel::class);
$app->singleton(ExceptionHandler::class, Illuminate\Foundation\Exceptions\Handler::class);

return $app;
