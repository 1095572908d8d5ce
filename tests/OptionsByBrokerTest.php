<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Task;
use Amqp1\Tests\Support\Broker;
use Amqp1\Tests\Support\Brokers;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/** No option is silently ignored: each broker does with each option what docs/brokers.md says. */
final class OptionsByBrokerTest extends ContractTestCase
{
    /** A broker's column in the table. */
    private const COLUMNS = [
        'embedded' => 'embedded', 'program' => 'embedded', 'servicebus' => 'Service Bus', 'rabbitmq' => 'RabbitMQ 4',
        'rabbitmq-4.0' => 'RabbitMQ 4', 'rabbitmq-4.3' => 'RabbitMQ 4', 'rabbitmq-3.10' => 'RabbitMQ 3', 'artemis' => 'Artemis',
        'activemq' => 'Classic', 'qpid' => 'another',
    ];

    /** The places that accept options. */
    private const PLACES = ['AmqpQueue', 'push()', 'request()', 'reply()', 'Consumer'];

    public static function everyBroker(): array
    {
        return array_filter(Brokers::all() + Brokers::others(), static fn ($set) => $set !== ['']) ?: ['none of AMQP1_TEST_BROKERS' => ['']];
    }

    /** @return array<string, array{string}> */
    public static function places(): array
    {
        return array_combine(self::PLACES, array_map(static fn ($place) => [$place], self::PLACES));
    }

    /** @dataProvider places */
    #[DataProvider('places')]
    public function testEveryOptionIsInTheTable(string $place): void
    {
        $queue = static fn (array $options) => new AmqpQueue('embedded://names', 'names', $options);
        $message = $this->thrown(ConfigException::class, fn () => match ($place) {
            'AmqpQueue' => $queue(['????????????????' => 1]),
            'push()' => $queue([])->push('job', '', ['????????????????' => 1]),
            'request()' => $queue([])->requestAsync('job', '', ['????????????????' => 1]),
            'reply()' => $this->asked($queue([]))->reply('', ['????????????????' => 1]),
            'Consumer' => new Consumer($queue([]), ['????????????????' => 1]),
        })->getMessage();
        self::assertSame(1, preg_match('/known options: (.*)$/', $message, $match), $message);

        // As a list: PHPUnit 13 compares anything else by its keys.
        $listed = array_values(array_filter(array_keys(self::table()[$place]), static fn ($name) => !str_contains($name, ':')));
        self::assertEqualsCanonicalizing(explode(', ', $match[1]), $listed, 'the extension (-) and the table (+)');
    }

    /** @dataProvider everyBroker */
    #[DataProvider('everyBroker')]
    public function testEachOptionIsHonouredOrRefusedAsTheTableSays(string $broker): void
    {
        $at = $this->broker($broker);
        $column = self::COLUMNS[$broker];
        foreach (self::table() as $place => $rows) {
            foreach ($rows as $option => $cells) {
                $cell = $cells[$column];
                $refusal = $this->refusal($at, $place, $option, $cell);
                $what = "$place, $option on $broker: the table says '$cell'" . ($refusal === null ? '' : ', and it says: ' . $refusal->getMessage());
                if ($cell === 'no requests') {
                    // With any option, so the message is about the broker.
                    self::assertInstanceOf(UnsupportedException::class, $refusal, $what);
                } elseif (str_starts_with($cell, 'refused')) {
                    self::assertTrue($refusal instanceof UnsupportedException || $refusal instanceof ConfigException, $what);
                    // The message must name the option, so that it can be left out.
                    self::assertMatchesRegularExpression("/$option|" . self::named($option) . '/', $refusal->getMessage(), $what);
                } else {
                    self::assertNull($refusal, $what);
                }
            }
        }
    }

    /** The exception when the option is used, from construction to the end of a job. */
    private function refusal(Broker $at, string $place, string $option, string $cell): ?ExceptionInterface
    {
        $name = $this->uniqueName($at);
        $values = $this->values($at, $place, $option, $name);
        if ($values === null) {
            return null;
        }
        try {
            $queue = new AmqpQueue($at->dsn, $name, ($place === 'AmqpQueue' ? $values : []) + ['timeout' => 20]);
            if ($option === 'declare' || $option === 'exclusive') {
                $this->declaredFor($at, $queue, $option);
            }
            if ($place === 'reply()') {
                $answers = $this->queue($at->name, [], $this->uniqueName($at, 'answers'));
                $this->declared($answers);
                $task = $this->asked($queue, $answers->getName());
                self::assertTrue($task->reply('x', $values), "reply(), $option on {$at->name}");
                $task->ack();
                $answer = $answers->reserve(10);
                self::assertNotNull($answer, "reply(), $option on {$at->name}");
                $answer->ack();

                return null;
            }
            if ($place === 'request()') {
                // On Service Bus, replies need a queue with sessions.
                $pending = $queue->requestAsync('job', 'x', $values + ($at->isServiceBus() ? ['reply_to' => 'replies-' . bin2hex(random_bytes(4))] : []));
            } else {
                $queue->push('job', 'x', $place === 'push()' ? $values : []);
            }
            // Jobs that go elsewhere, come later or disappear are not waited for.
            $stays = !in_array($option, ['routing_key', 'delay', 'ttl', 'exchange', 'exchange_type', 'bindings', 'exclusive'], true);
            $consumer = $this->consumer($queue, ($place === 'Consumer' ? $values : []));
            $task = $consumer->waitTask($stays ? 10 : 0.1);
            if ($stays) {
                self::assertNotNull($task, "$place, $option on {$at->name}");
                $option === 'backoff' ? $task->nack('again') : $task->ack();
            }
            $consumer->close();

            return null;
        } catch (ExceptionInterface $e) {
            return $e;
        }
    }

    /** A job whose producer asks for a reply. */
    private function asked(AmqpQueue $queue, string $replyTo = 'answers'): Task
    {
        $queue->push('job', 'x', ['reply_to' => $replyTo]);
        $task = $queue->reserve(10);
        self::assertNotNull($task);

        return $task;
    }

    /** @return array<string, mixed>|null the options to use; null if that is not enough and another test covers it */
    private function values(Broker $at, string $place, string $option, string $name): ?array
    {
        $exchange = fn () => $this->exchangeName($at);
        if ($at->isServiceBus() && in_array($option, ['session', 'token'], true)) {
            return null; // ServiceBusTest
        }

        return match ($option) {
            'name' => ['name' => 'pipeline'],
            'timeout' => ['timeout' => 15],
            'redial_timeout', 'heartbeat', 'max_lock_renewal' => [$option => 30],
            'host_order' => ['host_order' => 'given'],
            'container_id' => ['container_id' => 'test'],
            'exchange' => ['exchange' => $exchange()],
            'exchange_type' => ['exchange' => $exchange(), 'exchange_type' => 'fanout'],
            'bindings' => ['exchange' => $exchange(), 'bindings' => ['key'], 'routing_key' => 'key'],
            'routing_key' => in_array($place, ['push()', 'request()', 'reply()'], true) ? ['routing_key' => $name] : ['exchange' => $exchange(), 'routing_key' => 'key'],
            'declare' => ['declare' => false],
            'queue_type' => ['queue_type' => 'classic'],
            'arguments' => ['arguments' => ['x-max-length' => 100]],
            'max_length' => ['max_length' => 100],
            'overflow' => ['overflow' => 'reject-publish'],
            'dead_letter_exchange' => ['dead_letter_exchange' => ''] + ['dead_letter_routing_key' => "$name.dead"],
            'dead_letter_routing_key' => ['dead_letter_exchange' => '', 'dead_letter_routing_key' => "$name.dead"],
            'single_active_consumer', 'exclusive' => [$option => true],
            'max_priority' => ['queue_type' => 'classic', 'max_priority' => 5],
            'durable', 'auto_ack' => [$option => $option === 'auto_ack'],
            'prefetch', 'max_attempts' => [$option => 5],
            'priority' => ['priority' => 3],
            'delay' => ['delay' => 1],
            'consumer_timeout' => $at->name === 'rabbitmq-4.0' ? null : ['consumer_timeout' => 60], // LongJobTest
            'ttl' => ['ttl' => 60],
            'format' => ['format' => 'amqp1'],
            'backoff' => ['backoff' => 1],
            'failed_queue' => ['failed_queue' => "$name.failed"],
            "failed_queue: '@dead-letter'" => ['failed_queue' => '@dead-letter'] + ($at->isServiceBus() ? []
                : ['dead_letter_exchange' => '', 'dead_letter_routing_key' => "$name.dead"]),
            'requeue_on_fail' => ['requeue_on_fail' => false],
            'tls' => ['tls' => []],
            'dialect' => ['dialect' => $at->isServiceBus() ? 'servicebus' : 'auto'],
            'logger' => ['logger' => new class {
                public function log(): void
                {
                }
            }],
            'observer' => ['observer' => new \Amqp1\NullObserver()],
            'token' => ['token' => 'SharedAccessSignature sr=x&sig=x&se=4102444800&skn=x'],
            'headers' => ['headers' => ['a' => 'b']],
            'id', 'trace_id', 'correlation_id', 'group', 'partition_key' => [$option => 'one'],
            'reply_to' => ['reply_to' => $place === 'request()' && $at->isServiceBus() ? 'replies-' . bin2hex(random_bytes(4)) : 'one'],
            'content_type', 'content_encoding', 'to', 'subject' => [$option => 'one'],
            'user_id' => ['user_id' => $at->isRabbitMq() ? 'guest' : 'one'],
            'annotations' => ['annotations' => ['x-opt-a' => 'b']],
            'session' => ['session' => 'one'],
        };
    }

    /** An option that a message names in place of another. */
    private static function named(string $option): string
    {
        return match ($option) {
            'exchange_type', 'bindings', 'routing_key' => 'exchange',
            'dead_letter_routing_key' => 'dead_letter_exchange',
            "failed_queue: '@dead-letter'" => 'dead_letter_exchange|queue_type',
            'max_priority' => 'queue_type',
            'backoff' => 'delay',
            default => $option,
        };
    }

    /** With an option that prevents declaring, another queue object declares the queue. */
    private function declaredFor(Broker $at, AmqpQueue $queue, string $option): void
    {
        if ($option === 'declare' && $at->name !== 'qpid') {
            $this->declared(new AmqpQueue($at->dsn, $queue->getName()));
        }
    }

    /**
     * The table of docs/brokers.md.
     *
     * @return array<string, array<string, array<string, string>>> place => option => column => cell
     */
    private static function table(): array
    {
        $documentation = (string) file_get_contents(__DIR__ . '/../docs/brokers.md');
        self::assertSame(1, preg_match('/^## Options, broker by broker\n(.*?)(?=^## )/ms', $documentation, $match));
        preg_match_all('/^\| (.*) \|$/m', $match[1], $lines);
        $rows = array_map(static fn (string $line) => array_map('trim', explode(' | ', $line)), $lines[1]);
        $head = array_shift($rows);
        $table = [];
        foreach ($rows as $cells) {
            [$place, $options] = $cells;
            // `a`, `b`; or one with a value, `a: 'b'`, in addition to the row of `a` itself.
            preg_match_all("/`(\w+(?:: '[^']*')?)`/", $options, $names);
            foreach ($names[1] as $name) {
                $table[$place][$name] = array_combine($head, $cells);
            }
        }
        foreach ($table as $place => $rows) {
            foreach (array_keys($rows) as $name) {
                if (str_contains($name, ':')) {
                    // Not a name of its own.
                    self::assertArrayHasKey(strstr($name, ':', true), $table[$place]);
                }
            }
        }

        return $table;
    }
}
