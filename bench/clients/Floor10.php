<?php

declare(strict_types=1);

namespace Amqp1\Bench\Clients;

use Amqp1\Bench\Tally;
use Amqp1\Bench\Task;
use RuntimeException;

/**
 * AMQP 1.0 with as few octets and calls as possible: see Floor. A job arrives in one frame; credit for the next one and the
 * settlement leave in one write, in the order in which RabbitMQ delivers sooner.
 */
final class Floor10 extends Floor
{
    private const OPEN = 0x10;
    private const BEGIN = 0x11;
    private const ATTACH = 0x12;
    private const FLOW = 0x13;
    private const TRANSFER = 0x14;
    private const DISPOSITION = 0x15;
    private const SASL_INIT = 0x41;
    private const ACCEPTED = "\x00\x53\x24\x45";

    protected function publisher(Task $task): Client
    {
        return new Amqp1($task);
    }

    public function consume(Tally $tally): void
    {
        $at = $this->task->at();
        $this->connect();
        $this->write("AMQP\x03\1\0\0" . self::frame(self::SASL_INIT, [self::text('PLAIN', 0xa3), self::text("\0{$at['user']}\0{$at['password']}", 0xa0)], 1));
        $this->take(8);
        $this->body();
        $this->body();
        $queue = '/queues/' . rawurlencode($this->task->queues[0]);
        $vhost = $at['vhost'] === '/' ? "\x40" : self::text("vhost:{$at['vhost']}");
        $this->write("AMQP\0\1\0\0" . self::frame(self::OPEN, [self::text('floor'), $vhost]) . self::frame(self::BEGIN, ["\x40", "\x43", self::uint(0x7fffffff), self::uint(0x7fffffff)])
            . self::frame(self::ATTACH, [self::text('floor'), "\x43", "\x41", "\x50\0", "\x50\0", self::composite(0x28, [self::text($queue)]), self::composite(0x29, [])]));
        $this->take(8);
        $this->performative(self::OPEN);
        $incoming = self::number($this->performative(self::BEGIN), 1); // next-outgoing-id
        $count = self::number($this->performative(self::ATTACH), 9); // initial-delivery-count
        $credit = function () use (&$incoming, &$count): string {
            $fields = [self::uint($incoming), self::uint(0x7fffffff), "\x43", self::uint(0x7fffffff), "\x43", self::uint($count), self::uint($this->task->prefetch)];

            return self::frame(self::FLOW, $fields);
        };
        $this->write($credit());
        $number = 0;
        do {
            $delivery = $this->job();
            $incoming = ($incoming + 1) & 0xffffffff;
            $count = ($count + 1) & 0xffffffff;
            $this->write($credit() . self::frame(self::DISPOSITION, ["\x41", $delivery, $delivery, "\x41", self::ACCEPTED]));
        } while ($tally->take($number++, $this->task->size));
        $this->write(self::frame(0x18, [])); // close: the answer comes after all settlements are read
        $this->body();
    }

    /** @return string the delivery-id of the next job, encoded */
    private function job(): string
    {
        return self::uint(self::number($this->performative(self::TRANSFER), 1));
    }

    /** The next performative, which must be this one; heartbeats and the broker's flows do not count. */
    private function performative(int $code): string
    {
        do {
            $body = $this->body();
        } while ($body === '' || (ord($body[2]) === self::FLOW));

        return ord($body[2]) === $code ? $body : throw new RuntimeException("no performative $code: " . substr($body, 0, 300));
    }

    /** The body of the next frame; empty in a heartbeat. */
    private function body(): string
    {
        $size = (int) unpack('N', $this->take(4))[1];

        return substr($this->take($size - 4), 4);
    }

    /** A field of a performative. */
    private static function number(string $body, int $field): int
    {
        $at = $body[3] === "\xc0" ? 6 : 12;
        while ($field-- > 0) {
            $at = self::end($body, $at);
        }

        return match ($body[$at]) {
            "\x43" => 0,
            "\x52" => ord($body[$at + 1]),
            "\x70" => unpack('N', $body, $at + 1)[1],
        };
    }

    /** Where the value ends that begins there. */
    private static function end(string $body, int $at): int
    {
        $type = ord($body[$at]);

        return match ($type >> 4) {
            0 => self::end($body, self::end($body, $at + 1)), // a descriptor and its value
            4, 5, 6, 7, 8, 9 => $at + 1 + [0, 1, 2, 4, 8, 16][($type >> 4) - 4],
            0xa, 0xc => $at + 2 + ord($body[$at + 1]),
            default => $at + 5 + unpack('N', $body, $at + 1)[1],
        };
    }

    /** @param list<string> $fields encoded */
    private static function frame(int $code, array $fields, int $type = 0): string
    {
        $body = self::composite($code, $fields);

        return pack('NCCn', 8 + strlen($body), 2, $type, 0) . $body;
    }

    /** @param list<string> $fields encoded */
    private static function composite(int $code, array $fields): string
    {
        $all = implode('', $fields);

        return "\0\x53" . chr($code) . "\xc0" . chr(strlen($all) + 1) . chr(count($fields)) . $all;
    }

    private static function text(string $text, int $type = 0xa1): string
    {
        return chr($type) . chr(strlen($text)) . $text;
    }

    private static function uint(int $number): string
    {
        return "\x70" . pack('N', $number);
    }
}
