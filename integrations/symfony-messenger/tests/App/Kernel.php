<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests\App;

use Amqp1\SymfonyMessenger\TransportFactory;
use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\HttpKernel\Kernel as BaseKernel;

/**
 * An application with a transport `async` and its failure transport `failed`, as environment variables say:
 * APP_DSN, APP_OPTIONS, APP_FAILED_OPTIONS, APP_RETRY (JSON), APP_SERIALIZER, and APP_VAR, the folder for its files.
 */
final class Kernel extends BaseKernel
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

    public function getBuildDir(): string
    {
        return $this->getCacheDir();
    }

    public function getLogDir(): string
    {
        return getenv('APP_VAR') . '/log';
    }

    protected function configureContainer(ContainerConfigurator $container): void
    {
        $failed = self::json('APP_FAILED_OPTIONS');
        $transports = ['async' => [
            'dsn' => '%env(APP_DSN)%',
            'options' => self::json('APP_OPTIONS'),
            'retry_strategy' => self::json('APP_RETRY') + ['max_retries' => 2, 'delay' => 300, 'multiplier' => 1],
        ]];
        if ($failed !== []) {
            $transports['failed'] = ['dsn' => '%env(APP_DSN)%', 'options' => $failed, 'retry_strategy' => ['max_retries' => 0]];
        }
        $container->extension('framework', [
            'secret' => 'test',
            'test' => false,
            'http_method_override' => false,
            'messenger' => [
                'transports' => $transports,
                'routing' => [Work::class => 'async', Page::class => 'async'],
                'serializer' => ['default_serializer' => getenv('APP_SERIALIZER') ?: 'messenger.transport.native_php_serializer'],
            ] + ($failed === [] ? [] : ['failure_transport' => 'failed']),
            'serializer' => ['enabled' => true],
        ]);
        $services = $container->services();
        $services->defaults()->autowire()->autoconfigure();
        $services->set(TransportFactory::class);
        $services->set(WorkHandler::class)->tag('messenger.message_handler');
        $services->set(PageHandler::class)->tag('messenger.message_handler');
        $services->set(DispatchCommand::class)->tag('console.command');
    }

    /** @return array<string, mixed> */
    private static function json(string $variable): array
    {
        return json_decode(getenv($variable) ?: '[]', true, 16, JSON_THROW_ON_ERROR);
    }
}
