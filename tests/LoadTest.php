<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\Sockets;
use PHPUnit\Framework\TestCase;

/** The extension loads, identifies itself, and does nothing until it is used. */
final class LoadTest extends TestCase
{
    public function testVersionIsTheCargoVersion(): void
    {
        preg_match('/^version = "(.+)"/m', file_get_contents(dirname(__DIR__) . '/Cargo.toml'), $match);

        self::assertSame($match[1], phpversion('amqp1'));
    }

    public function testRiShowsVersionLibrariesIniAndPool(): void
    {
        [$code, $output] = self::php('--ri', 'amqp1');

        self::assertSame(0, $code, $output);
        self::assertStringContainsString((string) phpversion('amqp1'), $output);
        foreach (['fe2o3-amqp', 'tokio', 'rustls', 'amqp1.timeout', 'amqp1.config', 'pool', 'connections'] as $named) {
            self::assertStringContainsStringIgnoringCase($named, $output);
        }
    }

    public function testIniSettingsHaveDefaults(): void
    {
        self::assertSame(30.0, (float) ini_get('amqp1.timeout'));
        self::assertNotFalse(ini_get('amqp1.config'));
    }

    public function testLoadsBesidePhpAmqp(): void
    {
        if (getenv('AMQP1_TEST_WITHOUT_SDKS') && self::php('-r', 'exit(extension_loaded("amqp") ? 0 : 1);')[0] !== 0) {
            self::markTestSkipped('this PHP has no php-amqp, as the PHPs of scripts/matrix');
        }
        [$code, $output] = self::php('-r', 'echo json_encode([class_exists("AMQPQueue"), class_exists("Amqp1\\\\AmqpQueue"),'
            . ' (new ReflectionClass("AMQPQueue"))->getExtensionName(), (new ReflectionClass("Amqp1\\\\AmqpQueue"))->getExtensionName()]);');

        self::assertSame(0, $code, $output);
        self::assertSame([true, true, 'amqp', 'amqp1'], json_decode($output, true), $output);
    }

    public function testNothingIsConnectedByConstructing(): void
    {
        [$server, $address] = Sockets::silent();
        $queue = new AmqpQueue("amqp://$address", 'orders');
        $consumer = new Consumer($queue);

        self::assertSame('orders', $queue->getName());
        $read = [$server];
        $write = $except = null;
        self::assertSame(0, stream_select($read, $write, $except, 0, 200000), 'a connection was made');
        unset($consumer);
    }

    public function testUnusedExtensionStartsNoThread(): void
    {
        [$code, $output] = self::php('-r', 'echo count(glob("/proc/self/task/*"));');

        self::assertSame(0, $code, $output);
        self::assertSame('1', $output);
    }

    public function testUnusedExtensionEndsSilently(): void
    {
        self::assertSame([0, 'x'], self::php('-r', 'echo "x";'));
    }

    /** @return array{int, string} */
    private static function php(string ...$arguments): array
    {
        $child = Child::command([...Child::phpCommand(), ...$arguments]);
        $code = $child->wait(20);

        return [$code, $child->output()];
    }
}
