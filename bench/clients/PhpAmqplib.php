<?php

declare(strict_types=1);

namespace Amqp1\Bench\Clients;

use Amqp1\Bench\Tally;
use Amqp1\Bench\Task;
use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;
use RuntimeException;

/** php-amqplib: PHP alone. */
final class PhpAmqplib implements Client
{
    private AMQPStreamConnection $connection;
    private AMQPChannel $channel;
    private bool $confirms = false;
    private int $open = 0;
    private Headers $headers;

    public function __construct(private readonly Task $task)
    {
        require_once 'PhpAmqpLib/autoload.php';
        $this->headers = new Headers($task);
        $at = $task->at();
        $this->connection = new AMQPStreamConnection($at['host'], $at['port'], $at['user'], $at['password'], $at['vhost']);
        $this->channel = $this->connection->channel();
    }

    public function push(int $n): void
    {
        $this->publish($n);
        $this->confirm();
    }

    public function pushMany(int $from, int $to): void
    {
        for ($n = $from; $n < $to; ++$n) {
            $this->publish($n);
            if ($this->open === $this->task->window) {
                $this->confirm();
            }
        }
        $this->confirm();
    }

    private function publish(int $n): void
    {
        if (!$this->confirms) {
            $this->confirms = true;
            $this->channel->confirm_select();
            $this->channel->set_nack_handler(static fn () => throw new RuntimeException('a job was refused'));
        }
        $queue = $this->task->queues[$this->task->queue($n)];
        $attributes = $this->headers->attributes($n, $queue);
        $attributes['application_headers'] = new AMQPTable($attributes['headers']);
        unset($attributes['headers']);
        $this->channel->basic_publish(new AMQPMessage($this->task->payload($n), $attributes), '', $queue);
        ++$this->open;
    }

    private function confirm(): void
    {
        $this->channel->wait_for_pending_acks(60);
        $this->open = 0;
    }

    public function consume(Tally $tally): void
    {
        if ($this->task->prefetch !== null) {
            $this->channel->basic_qos(0, $this->task->prefetch, false);
        }
        $more = true;
        $take = static function (AMQPMessage $message) use ($tally, &$more): void {
            if (!$more) {
                return; // it was already on its way
            }
            $number = (int) $message->get('application_headers')->getNativeData()['number'];
            $length = strlen($message->getBody());
            $message->ack();
            $more = $tally->take($number, $length);
        };
        $tag = '';
        foreach ($this->task->queues as $name) {
            $tag = $this->channel->basic_consume($name, '', false, false, false, false, $take);
        }
        while ($more) {
            $this->channel->wait(null, false, 60);
        }
        $this->channel->basic_cancel($tag); // a round trip: afterwards, the broker has read all acknowledgements
    }
}
