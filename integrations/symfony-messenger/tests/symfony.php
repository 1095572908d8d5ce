<?php

/** Symfony's components in PHP's include_path, where Debian's packages put them. */

declare(strict_types=1);

foreach (['Messenger', 'Console', 'EventDispatcher', 'Serializer', 'PropertyAccess', 'Yaml'] as $component) {
    require_once "Symfony/Component/$component/autoload.php";
}
require_once 'Symfony/Bundle/FrameworkBundle/autoload.php';
// From Debian 13 on, Symfony's own AMQP transport has an autoloader of its own.
@include_once 'Symfony/Component/Messenger/Bridge/Amqp/autoload.php';
// Symfony 6 asks Composer which packages are installed. Debian has that class in its package of Composer, where no autoloader looks.
if (!class_exists(Composer\InstalledVersions::class) && stream_resolve_include_path('Composer/InstalledVersions.php') !== false) {
    require_once 'Composer/InstalledVersions.php';
}
