<?php

declare(strict_types=1);

namespace Amqp1\Bench\Clients;

use Amqp1\Bench\Tally;
use Amqp1\Bench\Task;
use AMQPChannel;
use AMQPConnection;
use AMQPEnvelope;
use AMQPExchange;
use AMQPQueue;
use RuntimeException;

/** php-amqp: the extension in C, on librabbitmq. */
final class PhpAmqp implements Client
{
    private AMQPChannel $channel;
    private AMQPExchange $exchange;
    private bool $confirms = false;
    private int $sent = 0;
    private int $confirmed = 0;
    private int $wanted = 0;

    /** @var array<int, true> */
    private array $ahead = [];
    private Headers $headers;

    public function __construct(private readonly Task $task)
    {
        $this->headers = new Headers($task);
        $this->channel = new AMQPChannel(self::connection($task->dsn));
        $this->exchange = new AMQPExchange($this->channel);
    }

    public static function connection(string $dsn, bool $persistent = false): AMQPConnection
    {
        $at = Task::parse($dsn);
        $connection = new AMQPConnection([
            'host' => $at['host'], 'port' => $at['port'], 'login' => $at['user'], 'password' => $at['password'], 'vhost' => $at['vhost'],
        ]);
        $persistent ? $connection->pconnect() : $connection->connect();

        return $connection;
    }

    public function push(int $n): void
    {
        $this->publish($n);
        $this->confirm(0);
    }

    public function pushMany(int $from, int $to): void
    {
        for ($n = $from; $n < $to; ++$n) {
            $this->publish($n);
            if ($this->sent - $this->confirmed >= $this->task->window) {
                $this->confirm(intdiv($this->task->window, 2));
            }
        }
        $this->confirm(0);
    }

    private function publish(int $n): void
    {
        if (!$this->confirms) {
            $this->confirmSelect();
        }
        $queue = $this->task->queues[$this->task->queue($n)];
        $this->exchange->publish($this->task->payload($n), $queue, AMQP_NOPARAM, $this->headers->attributes($n, $queue));
        ++$this->sent;
    }

    private function confirmSelect(): void
    {
        $this->confirms = true;
        $this->channel->confirmSelect();
        $this->channel->setConfirmCallback(
            function (int $tag, bool $multiple): bool {
                if ($multiple) {
                    $this->confirmed = max($this->confirmed, $tag);
                } else {
                    $this->ahead[$tag] = true;
                }
                while ($this->ahead !== [] && isset($this->ahead[$this->confirmed + 1])) {
                    unset($this->ahead[++$this->confirmed]);
                }

                return $this->confirmed < $this->wanted;
            },
            static fn (int $tag) => throw new RuntimeException("job $tag was refused")
        );
    }

    /** Waits until at most this many messages are unconfirmed. */
    private function confirm(int $open): void
    {
        $this->wanted = $this->sent - $open;
        if ($this->confirmed < $this->wanted) {
            $this->channel->waitForConfirm(60);
        }
    }

    public function consume(Tally $tally): void
    {
        if ($this->task->prefetch !== null) {
            $this->channel->qos(0, $this->task->prefetch);
        }
        $queues = [];
        foreach ($this->task->queues as $name) {
            $queues[] = $queue = new AMQPQueue($this->channel);
            $queue->setName($name);
            if (count($queues) < count($this->task->queues)) {
                $queue->consume(); // only subscribes; the last one's callback gets the jobs of all
            }
        }
        $queue->consume(static function (AMQPEnvelope $message, AMQPQueue $queue) use ($tally): bool {
            $number = (int) $message->getHeaders()['number'];
            $length = strlen($message->getBody());
            $queue->ack($message->getDeliveryTag());

            return $tally->take($number, $length);
        });
        $queue->cancel(); // a round trip: afterwards, the broker has read all acknowledgements
    }
}
