<?php
// The package and its SDK, for the tests and for the processes that they start.

declare(strict_types=1);

require_once __DIR__ . '/../autoload.php';
$sdk = getenv('AMQP1_ROADRUNNER_SDK');
if ($sdk === false || $sdk === '') {
    require_once __DIR__ . '/sdk.php';
} else {
    spl_autoload_register(static function (string $class) use ($sdk): void {
        $prefix = 'Spiral\\RoadRunner\\Jobs\\';
        $file = "$sdk/" . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
        if (str_starts_with($class, $prefix) && is_file($file)) {
            require $file;
        }
    });
}
