<?php

/** Composer's autoloader after `composer install`; without it, Symfony as Debian packages it. */

declare(strict_types=1);

if (is_file(__DIR__ . '/vendor/autoload.php')) {
    require __DIR__ . '/vendor/autoload.php';

    return;
}
foreach (['Component/Messenger', 'Component/Console', 'Component/Yaml', 'Bundle/FrameworkBundle'] as $library) {
    require_once "Symfony/$library/autoload.php";
}
// Symfony 6 asks Composer which packages are installed. Debian has that class in its package of Composer, where no autoloader looks.
if (!class_exists(Composer\InstalledVersions::class) && stream_resolve_include_path('Composer/InstalledVersions.php') !== false) {
    require_once 'Composer/InstalledVersions.php';
}
require __DIR__ . '/../../integrations/symfony-messenger/autoload.php';
spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'App\\')) {
        require __DIR__ . '/src/' . strtr(substr($class, 4), '\\', '/') . '.php';
    }
});
