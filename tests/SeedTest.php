<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Jobs;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/**
 * Files written for RoadRunner's amqp1 driver run here: its four configurations unchanged, and its three
 * programs with different `use` lines. They are in tests/seed, copied from that driver's documentation.
 */
final class SeedTest extends ContractTestCase
{
    private const SEED = __DIR__ . '/seed';

    /** The addresses in the two configurations. The test's broker replaces them. */
    private const ADDRESSES = [
        'azure' => 'amqps://RootManageSharedAccessKey:YOUR_ACCESS_KEY@YOUR_NAMESPACE.servicebus.windows.net:5671/',
        'rabbitmq' => 'amqp://username:password@rabbitmq:5672/',
    ];

    /** @var list<string> */
    private array $files = [];

    /** @return array<string, array{string, list<string>}> */
    public static function configurations(): array
    {
        return [
            'azure' => ['azure', ['azure-queue']],
            'rabbitmq' => ['rabbitmq', ['rabbit-queue']],
            'tls' => ['tls', []],
            'advanced' => ['advanced', ['advanced-azure', 'advanced-rabbit']],
        ];
    }

    /** @dataProvider configurations @param list<string> $pipelines */
    #[DataProvider('configurations')]
    public function testEveryConfigurationLoadsUnchangedAndSilently(string $name, array $pipelines): void
    {
        // PHPUnit makes an exception of a warning.
        $jobs = new Jobs(self::SEED . "/$name.yaml");

        self::assertCount(count($pipelines), $jobs);
        if ($name === 'advanced') {
            // It has no address, because it is part of another one.
            $thrown = $this->thrown(ConfigException::class, static fn () => $jobs->create('advanced-rabbit'));
            self::assertStringContainsString('amqp1.addr: missing', $thrown->getMessage());
            return;
        }
        self::assertSame($pipelines, array_keys(iterator_to_array($jobs)));
        foreach ($pipelines as $pipeline) {
            self::assertSame($pipeline, $jobs->create($pipeline)->getName());
        }
    }

    public function testThePartsMakeAWhole(): void
    {
        $whole = file_get_contents(self::SEED . '/tls.yaml') . file_get_contents(self::SEED . '/advanced.yaml');
        $jobs = new Jobs($this->file($whole));

        // The files in its example do not exist, which is reported when they are needed.
        $thrown = $this->thrown(ConfigException::class, static fn () => $jobs->create('advanced-rabbit'));
        self::assertStringContainsString('/path/to/', $thrown->getMessage());
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testTheProducerForAzure(string $broker): void
    {
        [$environment, $queue] = $this->environment('azure', $broker);
        $this->program('producer-azure', $environment);

        // It requests a delay of 30 seconds.
        $stats = $queue->stats();
        self::assertSame([1, 0], [$stats['delayed'], $stats['ready']]);
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testTheProducerForRabbitMqAndTheWorker(string $broker): void
    {
        if ($this->broker($broker)->isArtemis()) {
            [, $queue] = $this->environment('rabbitmq', $broker);
            $thrown = $this->thrown(UnsupportedException::class, static fn () => $queue->push('mail'));
            self::assertStringContainsString("option 'exchange'", $thrown->getMessage());

            return;
        }
        if (!$this->broker($broker)->supports('exchanges')) {
            $warnings = [];
            set_error_handler(static function (int $level, string $message) use (&$warnings): bool {
                $warnings[] = $message;

                return true;
            });
            $this->environment('rabbitmq', $broker);
            restore_error_handler();
            self::assertStringContainsString('exchange: has no effect on Azure Service Bus', implode("\n", $warnings));

            return;
        }
        [$environment, $queue] = $this->environment('rabbitmq', $broker);
        $this->program('producer-rabbitmq', $environment);
        self::assertSame(1, $queue->count(), 'by way of the exchange');

        $worker = $this->worker($environment);
        self::assertSame([
            'mail' => ['recipient' => 'user@example.com'],
            'headers' => ['routing-type' => ['urgent']],
            'queue' => 'rabbit-queue',
        ], $this->handled($worker, 'mail'));

        // The worker's other branches: an order, and an unknown job.
        $queue->push('ProcessOrder', ['orderId' => 12345], ['headers' => ['tenant-id' => 'company-a']]);
        self::assertSame(['orderId' => 12345], $this->handled($worker, 'order')['order']);
        $queue->push('Mystery');
        $worker->waitFor('Job failed: Unknown job type');
        $worker->signal(SIGTERM);
        self::assertSame(128 + SIGTERM, $worker->wait(10), $worker->output());
        self::assertSame(2, substr_count($worker->output(), 'handled '), 'each job once: ' . $worker->output());
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testTheWorkerServesTheQueueForAzure(string $broker): void
    {
        [$environment, $queue] = $this->environment('azure', $broker);
        $worker = $this->worker($environment);
        $queue->push('ProcessOrder', ['orderId' => 12345], ['headers' => ['tenant-id' => 'company-a']]);

        self::assertSame([
            'order' => ['orderId' => 12345],
            'headers' => ['tenant-id' => ['company-a']],
            'queue' => 'azure-queue',
        ], $this->handled($worker, 'order'));
    }

    /**
     * The configuration, with only the broker and the queue's name replaced by variables.
     *
     * @return array{array<string, string>, AmqpQueue}
     */
    private function environment(string $name, string $broker): array
    {
        $at = $this->broker($broker);
        $unique = $this->uniqueName($at, 'seed');
        if ($at->isRabbitMq()) {
            // The exchange has the same name as the queue.
            $unique = $this->owned($at, $this->exchangeName($at, 'seed'));
        }
        $yaml = file_get_contents(self::SEED . "/$name.yaml");
        $adapted = str_replace([self::ADDRESSES[$name], '"test-queue"'], ['${SEED_ADDR:-nowhere}', '"${SEED_QUEUE}"'], $yaml, $count);
        self::assertGreaterThanOrEqual(2, $count);
        $file = $this->file($adapted);
        $environment = ['AMQP1_CONFIG' => $file, 'SEED_ADDR' => $at->dsn, 'SEED_QUEUE' => $unique];
        $_ENV = ['SEED_ADDR' => $at->dsn, 'SEED_QUEUE' => $unique] + $_ENV;
        $pipelines = iterator_to_array(new Jobs($file));

        return [$environment, reset($pipelines)];
    }

    private function file(string $yaml): string
    {
        $file = $this->files[] = sys_get_temp_dir() . '/amqp1-seed-' . bin2hex(random_bytes(6)) . '.yaml';
        file_put_contents($file, $yaml);

        return $file;
    }

    /** @param array<string, string> $environment */
    private function program(string $name, array $environment): void
    {
        $child = Child::command([...Child::phpCommand(), self::SEED . "/$name.php"], $environment);
        self::assertSame([0, ''], [$child->wait(30), $child->output()]);
    }

    /** @param array<string, string> $environment */
    private function worker(array $environment): Child
    {
        return Child::command([...Child::phpCommand(), '-d', 'auto_prepend_file=' . self::SEED . '/handlers.php',
            '-d', 'log_errors=1', '-d', 'error_log=', self::SEED . '/worker.php'], $environment);
    }

    /** @return array<string, mixed> */
    private function handled(Child $worker, string $what): array
    {
        $line = $worker->waitFor("handled {\"$what\"");

        return json_decode(substr($line, strlen('handled ')), true, 512, JSON_THROW_ON_ERROR);
    }

    protected function tearDown(): void
    {
        array_map('unlink', $this->files);
        $this->files = [];
        unset($_ENV['SEED_ADDR'], $_ENV['SEED_QUEUE']);
        parent::tearDown();
    }
}
