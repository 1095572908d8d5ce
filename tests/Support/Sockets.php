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

    /** `host:port` where nothing listens. */
    public static function refused(): string
    {
        [$server, $name] = self::silent();
        fclose($server);

        return $name;
    }
}
