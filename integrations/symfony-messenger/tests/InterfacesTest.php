<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests;

use Amqp1\Tests\Support\Child;
use PHPUnit\Framework\TestCase;

/** Debian has one version of Symfony. The interfaces of newer ones are written down in symfony-8.php. */
final class InterfacesTest extends TestCase
{
    public function testTheFrameworkIsTheRealOne(): void
    {
        $file = (string) (new \ReflectionClass(\Symfony\Component\Messenger\Worker::class))->getFileName();
        self::assertStringContainsString('Messenger/Worker.php', $file);
    }

    public function testTheTransportFitsTheInterfacesOfSymfony8(): void
    {
        $output = Child::run(
            'require $argv[1] . "/symfony-8.php"; require $argv[1] . "/../autoload.php";'
            . '$transport = new ReflectionClass(Amqp1\SymfonyMessenger\Transport::class);'
            . '$names = array_map(fn ($name) => substr(strrchr($name, "\\\\"), 1), $transport->getInterfaceNames()); sort($names);'
            . 'echo implode(" ", $names), " | ", (new ReflectionClass(Amqp1\SymfonyMessenger\TransportFactory::class))->isFinal();',
            [__DIR__]
        );

        self::assertSame('CloseableTransport CloseableTransportInterface KeepaliveReceiver KeepaliveReceiverInterface ListableReceiverInterface '
            . 'MessageCountAwareInterface QueueReceiverInterface ReceiverInterface SenderInterface SetupableTransportInterface TransportInterface | 1', $output);
    }
}
