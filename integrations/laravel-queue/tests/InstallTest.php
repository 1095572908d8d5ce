<?php

declare(strict_types=1);

namespace Amqp1\Laravel\Tests;

use Amqp1\Laravel\Amqp1ServiceProvider;
use Amqp1\Tests\Support\Child;
use Illuminate\Filesystem\Filesystem;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\PackageManifest;
use PHPUnit\Framework\TestCase;

/** As users install it: Composer, by a path repository, and Laravel's discovery of packages. */
final class InstallTest extends TestCase
{
    public function testComposerInstallsItAndLaravelFindsItsProvider(): void
    {
        $folder = sys_get_temp_dir() . '/amqp1-laravel-install';
        mkdir($folder);
        try {
            // Laravel itself is Debian's, so Composer is told that it is there.
            $version = Application::VERSION;
            file_put_contents("$folder/composer.json", json_encode([
                'repositories' => [
                    ['type' => 'path', 'url' => realpath(__DIR__ . '/..'), 'options' => ['versions' => ['amqp1/laravel-queue' => '0.1.0']]],
                    ['packagist.org' => false],
                ],
                'require' => ['amqp1/laravel-queue' => '*'],
                'provide' => ['illuminate/queue' => $version, 'illuminate/support' => $version],
            ], JSON_THROW_ON_ERROR));
            exec('command -v composer', $composer);
            $install = Child::command(
                [...Child::phpCommand(), $composer[0] ?? 'composer', 'install', "--working-dir=$folder", '--no-interaction', '--no-plugins'],
                ['COMPOSER_ALLOW_SUPERUSER' => '1', 'COMPOSER_HOME' => "$folder/home", 'COMPOSER_DISABLE_NETWORK' => '1']
            );
            self::assertSame(0, $install->wait(), $install->output());

            $manifest = new PackageManifest(new Filesystem(), $folder, "$folder/packages.php");
            self::assertSame([Amqp1ServiceProvider::class], $manifest->providers());
            $autoload = Child::run(
                'require $argv[1]; exit(class_exists(Amqp1\Laravel\Configuration::class) ? 0 : 1);',
                ["$folder/vendor/autoload.php"]
            );
            self::assertSame('', $autoload);
        } finally {
            (new Filesystem())->deleteDirectory($folder);
        }
    }
}
