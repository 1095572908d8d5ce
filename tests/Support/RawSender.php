<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use RuntimeException;

/** Sends a message of arbitrary bytes over AMQP 1.0, frame by frame, because no client writes what some tests need. */
final class RawSender
{
    public static function send(Broker $broker, string $queue, string $message): void
    {
        $parts = parse_url($broker->dsn);
        $socket = stream_socket_client("tcp://{$parts['host']}:{$parts['port']}", $code, $error, 10);
        if ($socket === false) {
            throw new RuntimeException($error);
        }
        stream_set_timeout($socket, 10);
        $login = "\0" . ($parts['user'] ?? 'guest') . "\0" . ($parts['pass'] ?? 'guest');
        self::greet($socket, "AMQP\3\1\0\0");
        self::frame($socket, 1, 0x41, [self::symbol('PLAIN'), self::binary($login)]);
        self::await($socket, 0x44);
        self::greet($socket, "AMQP\0\1\0\0");
        $uint = static fn (int $number) => "\x70" . pack('N', $number);
        self::frame($socket, 0, 0x10, [self::string('raw'), self::string($parts['host'])]);
        self::frame($socket, 0, 0x11, ["\x40", $uint(0), $uint(100), $uint(100)]);
        self::frame($socket, 0, 0x12, [
            self::string('raw'), $uint(0), "\x42", "\x40", "\x40", "\0\x53\x28\x45",
            "\0\x53\x29" . self::list([self::string("/queues/$queue")]), "\x40", "\x40", $uint(0),
        ]);
        self::await($socket, 0x13);
        self::frame($socket, 0, 0x14, [$uint(0), $uint(0), self::binary('1'), $uint(0), "\x42"], $message);
        $outcome = self::await($socket, 0x15);
        if (!str_contains($outcome, "\0\x53\x24")) {
            throw new RuntimeException('not accepted: ' . bin2hex($outcome));
        }
        fclose($socket);
    }

    public static function string(string $text): string
    {
        return "\xb1" . pack('N', strlen($text)) . $text;
    }

    public static function symbol(string $text): string
    {
        return "\xb3" . pack('N', strlen($text)) . $text;
    }

    public static function binary(string $bytes): string
    {
        return "\xb0" . pack('N', strlen($bytes)) . $bytes;
    }

    /** @param list<string> $items encoded */
    public static function list(array $items): string
    {
        return self::compound("\xd0", $items);
    }

    /** @param list<string> $items keys and values in turn, encoded */
    public static function map(array $items): string
    {
        return self::compound("\xd1", $items);
    }

    /** A section of a message, by the code of its descriptor. */
    public static function section(int $code, string $value): string
    {
        return "\0\x53" . chr($code) . $value;
    }

    /** @param list<string> $items */
    private static function compound(string $constructor, array $items): string
    {
        $content = implode('', $items);

        return $constructor . pack('NN', strlen($content) + 4, count($items)) . $content;
    }

    /**
     * @param resource $socket
     * @param list<string> $fields
     */
    private static function frame($socket, int $type, int $performative, array $fields, string $payload = ''): void
    {
        $body = "\2" . chr($type) . "\0\0" . self::section($performative, self::list($fields)) . $payload;
        fwrite($socket, pack('N', strlen($body) + 4) . $body);
    }

    /** @param resource $socket */
    private static function greet($socket, string $header): void
    {
        fwrite($socket, $header);
        self::read($socket, 8);
    }

    /** @param resource $socket */
    private static function await($socket, int $performative): string
    {
        do {
            $length = unpack('N', self::read($socket, 4))[1];
            $frame = self::read($socket, $length - 4);
            if (str_starts_with(substr($frame, 4), "\0\x53\x18")) {
                throw new RuntimeException('the broker closed the connection: ' . $frame);
            }
        } while (!str_starts_with(substr($frame, 4), "\0\x53" . chr($performative)));

        return $frame;
    }

    /** @param resource $socket */
    private static function read($socket, int $length): string
    {
        $bytes = '';
        while (strlen($bytes) < $length) {
            $more = fread($socket, $length - strlen($bytes));
            if ($more === false || $more === '') {
                throw new RuntimeException('the broker broke off, or is silent');
            }
            $bytes .= $more;
        }

        return $bytes;
    }
}
