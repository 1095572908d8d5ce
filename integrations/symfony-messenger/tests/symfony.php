<?php

/** Symfony's components in PHP's include_path, where Debian's packages put them. */

declare(strict_types=1);

foreach (['Messenger', 'Console', 'EventDispatcher', 'Serializer', 'PropertyAccess', 'Yaml'] as $component) {
    require_once "Symfony/Component/$component/autoload.php";
}
require_once 'Symfony/Bundle/FrameworkBundle/autoload.php';
