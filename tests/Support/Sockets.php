<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use RuntimeException;

/** Endpoints where no broker answers. */
final class Sockets
{
    /** @return array{resource, string} A socket whose connections the kernel takes and nobody ever answers; `host:port`. */
    public static function silent(): array
    {
        $server = stream_socket_server('tcp://127.0.0.1:0');
        if ($server === false) {
            throw new RuntimeException('no socket on the loopback');
        }

        return [$server, stream_socket_get_name($server, false)];
    }

    /**
     * A host that swallows packets: its connection queue is full, so the kernel drops further connection attempts.
     *
     * @return array{list<resource>, string} what keeps it so; `host:port`
     */
    public static function swallowing(): array
    {
        $context = stream_context_create(['socket' => ['backlog' => 1]]);
        $server = stream_socket_server('tcp://127.0.0.1:0', $code, $message, STREAM_SERVER_BIND | STREAM_SERVER_LISTEN, $context);
        if ($server === false) {
            throw new RuntimeException("no socket on the loopback: $message");
        }
        [$held, $name] = [[$server], stream_socket_get_name($server, false)];
        for ($i = 0; $i < 16; ++$i) {
            $client = @stream_socket_client("tcp://$name", $code, $message, 0.3);
            if ($client === false) {
                return [$held, $name];
            }
            $held[] = $client;
        }
        throw new RuntimeException('the kernel goes on taking connections');
    }

    /** `host:port` where nothing listens. */
    public static function refused(): string
    {
        [$server, $name] = self::silent();
        fclose($server);

        return $name;
    }
}
