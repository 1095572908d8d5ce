<?php
// Starts nothing. The first test that needs a broker starts or finds it.

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    $prefix = 'Amqp1\\Tests\\';
    if (str_starts_with($class, $prefix)) {
        $file = __DIR__ . '/' . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
        if (is_file($file)) {
            require $file;
        }
    }
});

require __DIR__ . '/../php/autoload.php';
require __DIR__ . '/../integrations/opentelemetry/autoload.php';

if (!extension_loaded('amqp1')) {
    fwrite(STDERR, "The extension amqp1 is not loaded in " . PHP_BINARY . ".\n"
        . "Run the suite through scripts/test, or: scripts/php \$(command -v phpunit) -c tests\n");
    exit(1);
}
