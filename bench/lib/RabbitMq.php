<?php

declare(strict_types=1);

namespace Amqp1\Bench;

use AMQPChannel;
use AMQPQueue;
use RuntimeException;

/** The RabbitMQ that all clients use: its queues and its CPU time. It is seen through php-amqp, and by its process. */
final class RabbitMq
{
    private const BROKERS = __DIR__ . '/../../scripts/brokers';

    public readonly string $dsn;
    private readonly bool $started;
    private AMQPChannel $channel;
    private string|false|null $process = null;

    /** AMQP1_BENCH_RABBITMQ=amqp://…, or AMQP1_TEST_RABBITMQ_43, or the RabbitMQ 4.3 of scripts/brokers, which is started if necessary. */
    public function __construct()
    {
        foreach (['AMQP1_BENCH_RABBITMQ', 'AMQP1_TEST_RABBITMQ_43', 'AMQP1_TEST_RABBITMQ'] as $name) {
            if (getenv($name)) {
                $this->dsn = getenv($name);
                $this->started = false;
                $this->connect();

                return;
            }
        }
        $brokers = escapeshellarg(self::BROKERS);
        exec("$brokers running 4.3", $_, $code);
        $this->started = $code !== 0;
        if ($this->started) {
            fwrite(STDERR, "starting RabbitMQ 4.3\n");
            passthru("$brokers up 4.3 1>&2", $failed);
            if ($failed !== 0) {
                throw new RuntimeException('no RabbitMQ 4.3; set AMQP1_BENCH_RABBITMQ=amqp://… to use your own');
            }
        }
        if (!preg_match('/AMQP1_TEST_RABBITMQ_43=[\'"]?([^\'"\s]+)/', (string) shell_exec("$brokers env"), $match)) {
            throw new RuntimeException('scripts/brokers env does not name RabbitMQ 4.3');
        }
        $this->dsn = $match[1];
        $this->connect();
    }

    /** Stops it if it was started here. */
    public function stop(): void
    {
        if ($this->started) {
            exec(escapeshellarg(self::BROKERS) . ' down 4.3');
        }
    }

    private function connect(): void
    {
        if (!extension_loaded('amqp')) {
            throw new RuntimeException('php-amqp is not loaded: scripts/deps bench');
        }
        $this->channel = new AMQPChannel(Clients\PhpAmqp::connection($this->dsn));
    }

    /**
     * Declares new queues.
     *
     * @return list<string> their names
     */
    public function queues(string $type, int $count): array
    {
        if (!$this->channel->isConnected()) {
            $this->connect(); // an error has ended the channel
        }
        $names = [];
        $run = bin2hex(random_bytes(4));
        for ($i = 0; $i < $count; ++$i) {
            $queue = new AMQPQueue($this->channel);
            $queue->setName($names[] = "bench-$run-$i");
            $queue->setFlags(AMQP_DURABLE);
            $queue->setArguments(['x-queue-type' => $type]);
            $queue->declareQueue();
        }

        return $names;
    }

    /**
     * Fails unless the queues soon hold exactly this many jobs.
     *
     * @param list<string> $names
     */
    public function expect(array $names, int $jobs, string $after): void
    {
        for ($i = 0; ; ++$i) {
            $count = 0;
            foreach ($names as $name) {
                $queue = new AMQPQueue($this->channel);
                $queue->setName($name);
                $queue->setFlags(AMQP_PASSIVE | AMQP_DURABLE);
                $count += $queue->declareQueue();
            }
            if ($count === $jobs) {
                return;
            }
            if ($i === 150) {
                throw new RuntimeException("$after: $count messages in the queue, not $jobs");
            }
            usleep(100_000);
        }
    }

    /** @param list<string> $names */
    public function delete(array $names): void
    {
        if (!$this->channel->isConnected()) {
            $this->connect();
        }
        foreach ($names as $name) {
            $queue = new AMQPQueue($this->channel);
            $queue->setName($name);
            $queue->delete();
        }
    }

    /**
     * The local broker's CPU time so far, in seconds; null if its process cannot be found. It shows whether the client or the
     * broker limits the throughput: on few cores, they compete.
     */
    public function cpu(): ?float
    {
        if ($this->process === null) {
            $this->process = false;
            $port = Task::parse($this->dsn)['port'];
            foreach (glob('/proc/[0-9]*/comm') ?: [] as $file) {
                if (trim((string) @file_get_contents($file)) === 'beam.smp'
                    && preg_match("/\\0RABBITMQ_NODE_PORT=$port\\0/", "\0" . @file_get_contents(dirname($file) . '/environ') . "\0")) {
                    $this->process = dirname($file);
                }
            }
        }
        $stat = $this->process === false ? '' : (string) @file_get_contents("$this->process/stat");
        if ($stat === '') {
            return null;
        }
        $fields = explode(' ', substr($stat, strrpos($stat, ')') + 2));

        return ((int) $fields[11] + (int) $fields[12]) / 100; // USER_HZ
    }
}
