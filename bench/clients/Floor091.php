<?php

declare(strict_types=1);

namespace Amqp1\Bench\Clients;

use Amqp1\Bench\Tally;
use Amqp1\Bench\Task;
use RuntimeException;

/** AMQP 0-9-1 with as few octets and calls as possible: see Floor. A job arrives in three frames, its ack is one. */
final class Floor091 extends Floor
{
    private const METHOD = 1;
    private const HEADER = 2;
    private const DELIVER = "\x00\x3c\x00\x3c";

    protected function publisher(Task $task): Client
    {
        return new PhpAmqp($task);
    }

    public function consume(Tally $tally): void
    {
        $at = $this->task->at();
        $this->connect();
        $this->write("AMQP\0\0\x09\x01");
        $this->answer(10, 10);
        $this->send(10, 11, pack('N', 0) . "\5PLAIN" . self::long("\0{$at['user']}\0{$at['password']}") . "\5en_US", 0); // start-ok
        $tune = $this->answer(10, 30);
        $this->send(10, 31, substr($tune, 0, 6) . "\0\0", 0); // without heartbeats
        $this->send(10, 40, chr(strlen($at['vhost'])) . "{$at['vhost']}\0\0", 0);
        $this->answer(10, 41);
        $this->send(20, 10, "\0");
        $this->answer(20, 11);
        $this->send(60, 10, pack('NnC', 0, $this->task->prefetch, 0)); // qos
        $this->answer(60, 11);
        $queue = $this->task->queues[0];
        $this->send(60, 20, "\0\0" . chr(strlen($queue)) . "$queue\1c\0" . pack('N', 0)); // consume
        $this->answer(60, 21);
        $number = 0;
        do {
            $tag = $this->job();
            $this->send(60, 80, "$tag\0"); // ack
        } while ($tally->take($number++, $this->task->size));
        $this->send(60, 30, "\1c\0"); // cancel: afterwards, the broker has read all acks
        $this->answer(60, 31);
    }

    /** @return string the delivery-tag of the next job */
    private function job(): string
    {
        $tag = '';
        $left = PHP_INT_MAX;
        while ($left > 0) {
            [$type, $payload] = $this->frame();
            if ($type === self::METHOD) {
                if (!str_starts_with($payload, self::DELIVER)) {
                    throw new RuntimeException('no delivery: ' . bin2hex($payload));
                }
                $tag = substr($payload, 5 + ord($payload[4]), 8);
            } elseif ($type === self::HEADER) {
                $left = (int) unpack('J', $payload, 4)[1];
            } else {
                $left -= strlen($payload);
            }
        }

        return $tag;
    }

    /** @return array{int, string} */
    private function frame(): array
    {
        $head = unpack('Ctype/nchannel/Nsize', $this->take(7));

        return [$head['type'], substr($this->take($head['size'] + 1), 0, -1)];
    }

    /** The arguments of a method, which must come next. */
    private function answer(int $class, int $method): string
    {
        [, $payload] = $this->frame();
        if (!str_starts_with($payload, pack('nn', $class, $method))) {
            throw new RuntimeException("not $class.$method: " . bin2hex($payload));
        }

        return substr($payload, 4);
    }

    private function send(int $class, int $method, string $arguments, int $channel = 1): void
    {
        $this->write(pack('CnN', self::METHOD, $channel, 4 + strlen($arguments)) . pack('nn', $class, $method) . "$arguments\xce");
    }

    private static function long(string $text): string
    {
        return pack('N', strlen($text)) . $text;
    }
}
