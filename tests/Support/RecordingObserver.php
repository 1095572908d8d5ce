<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use Amqp1\NullObserver;
use Amqp1\Observation\Connection;
use Amqp1\Observation\Job;
use Amqp1\Observation\Push;

/** Notes what it is told, one line each, and does what a test asks it to. */
final class RecordingObserver extends NullObserver
{
    /** @var list<string> */
    public array $heard = [];

    /** @var list<Push|Job|Connection> */
    public array $given = [];

    /**
     * @param array<string, string> $headers to add to each job
     * @param array<string, callable> $acts by method: what else to do
     */
    public function __construct(private array $headers = [], private array $acts = [])
    {
    }

    public function beforePush(Push $push): void
    {
        foreach ($this->headers as $name => $value) {
            $push->addHeader($name, $value);
        }
        $this->note(__FUNCTION__, $push, "{$push->getOperation()} {$push->getName()}");
    }

    public function afterPush(Push $push): void
    {
        $this->note(__FUNCTION__, $push, "{$push->getOperation()} {$push->getName()} {$push->getOutcome()}");
    }

    public function received(Job $job): void
    {
        $this->note(__FUNCTION__, $job, $job->getTask()->getName());
    }

    public function settled(Job $job): void
    {
        $this->note(__FUNCTION__, $job, "{$job->getTask()->getName()} {$job->getOutcome()}");
    }

    public function connection(Connection $event): void
    {
        $this->note(__FUNCTION__, $event, $event->getEvent());
    }

    /** @return list<string> without events of connections, which other tests share */
    public function jobs(): array
    {
        return array_values(array_filter($this->heard, static fn (string $line) => !str_starts_with($line, 'connection ')));
    }

    /** @return list<string> */
    public function events(): array
    {
        $events = array_filter($this->given, static fn (object $given) => $given instanceof Connection);

        return array_values(array_map(static fn (Connection $event) => $event->getEvent(), $events));
    }

    private function note(string $method, object $given, string $what): void
    {
        $this->heard[] = "$method $what";
        $this->given[] = $given;
        if (isset($this->acts[$method])) {
            ($this->acts[$method])($given);
        }
    }
}
