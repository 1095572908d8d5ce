<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use Amqp1\AmqpQueue;
use RuntimeException;

/** Reads about connections in RabbitMQ's log, by the container-id that they announced. */
final class RabbitLog
{
    private readonly string $file;
    private readonly int $from;

    /** From now on. */
    public function __construct(private readonly Broker $broker)
    {
        if (!Ctl::reaches($broker)) {
            throw new RuntimeException('only the logs of the brokers of scripts/brokers are at hand');
        }
        $version = substr($broker->name, strlen('rabbitmq-'));
        $this->file = dirname(__DIR__, 2) . "/build/brokers/$version/log/rabbitmq.log";
        $this->from = (int) filesize($this->file);
    }

    /** @return array<string, string> container-id of each connection that was opened => its process in the broker */
    public function opened(string $prefix): array
    {
        $pattern = "/<([\d.]+)> Connection from AMQP 1.0 container '(" . preg_quote($prefix, '/') . "[^']*)'/";
        preg_match_all($pattern, $this->text(), $matches, PREG_SET_ORDER);

        return array_column($matches, 1, 2);
    }

    /** @return list<string> what was said of them at level warning and above */
    public function complaints(string $prefix): array
    {
        $text = $this->text();
        $complaints = [];
        foreach ($this->opened($prefix) as $process) {
            preg_match_all('/^.*\[(?:warning|error)\] <' . preg_quote($process, '/') . '>.*$/m', $text, $matches);
            array_push($complaints, ...$matches[0]);
        }

        return $complaints;
    }

    /**
     * Waits until everything up to now is in the file. RabbitMQ writes it seconds later, but in order.
     */
    public function catchUp(): void
    {
        $mark = 'mark-' . bin2hex(random_bytes(6));
        (new AmqpQueue($this->broker->dsn, 'none', ['container_id' => $mark]))->ping();
        $deadline = microtime(true) + 20;
        while ($this->opened($mark) === []) {
            if (microtime(true) > $deadline) {
                throw new RuntimeException("nothing new in {$this->file}");
            }
            usleep(50000);
        }
    }

    private function text(): string
    {
        clearstatcache();

        return (string) file_get_contents($this->file, false, null, $this->from);
    }
}
