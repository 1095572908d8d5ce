<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests\App;

use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\HttpKernel\Kernel as BaseKernel;

/** An application with the configuration files in APP_VAR. */
final class DocKernel extends BaseKernel
{
    use MicroKernelTrait;

    public function registerBundles(): iterable
    {
        yield new FrameworkBundle();
    }

    public function getProjectDir(): string
    {
        return __DIR__;
    }

    public function getCacheDir(): string
    {
        return getenv('APP_VAR') . '/cache';
    }

    public function getLogDir(): string
    {
        return getenv('APP_VAR') . '/log';
    }

    protected function configureContainer(ContainerConfigurator $container): void
    {
        $container->import(getenv('APP_VAR') . '/*.yaml');
        $container->extension('framework', ['secret' => 'docs', 'http_method_override' => false]);
        $container->services()->alias('docs.bus', 'messenger.default_bus')->public();
    }
}
