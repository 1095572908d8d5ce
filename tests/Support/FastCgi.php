<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use RuntimeException;

/** A minimal web server for php-fpm: sends requests over its socket, many at a time. */
final class FastCgi
{
    private const BEGIN = 1;
    private const END = 3;
    private const PARAMS = 4;
    private const STDIN = 5;
    private const STDOUT = 6;
    private const STDERR = 7;

    public function __construct(private readonly string $socket, private readonly float $timeout = 30)
    {
    }

    /**
     * Requests the script, with `$parallel` requests at a time.
     *
     * @param iterable<array<string, scalar>> $queries the query of each
     * @return \Generator<int, string> each answer's body, as they come
     */
    public function requests(string $script, iterable $queries, int $parallel = 8): \Generator
    {
        $queries = (static fn () => yield from $queries)();
        $open = [];
        $input = [];
        while (true) {
            for (; count($open) < $parallel && $queries->valid(); $queries->next()) {
                $stream = $this->send($script, $queries->current());
                $open[(int) $stream] = $stream;
                $input[(int) $stream] = '';
            }
            if ($open === []) {
                return;
            }
            $ready = array_values($open);
            $none = null;
            if (stream_select($ready, $none, $none, (int) $this->timeout) === 0) {
                throw new RuntimeException("php-fpm does not answer within {$this->timeout} s");
            }
            foreach ($ready as $stream) {
                $id = (int) $stream;
                $more = fread($stream, 65536);
                $input[$id] .= $more;
                if (($more === '' || $more === false) && feof($stream)) {
                    fclose($stream);
                    yield self::body($input[$id]);
                    unset($open[$id], $input[$id]);
                }
            }
        }
    }

    /** @param array<string, scalar> $query */
    public function request(string $script, array $query = []): string
    {
        foreach ($this->requests($script, [$query]) as $body) {
            return $body;
        }
        throw new RuntimeException('no answer');
    }

    /**
     * Hangs up when the answer has started.
     *
     * @param array<string, scalar> $query
     */
    public function abandon(string $script, array $query = []): void
    {
        $stream = $this->send($script, $query);
        fread($stream, 1);
        fclose($stream);
    }

    /**
     * @param array<string, scalar> $query
     * @return resource
     */
    private function send(string $script, array $query)
    {
        $stream = stream_socket_client('unix://' . $this->socket, $_, $error, $this->timeout);
        if ($stream === false) {
            throw new RuntimeException("php-fpm takes no connection: $error");
        }
        $params = '';
        $values = [
            'REQUEST_METHOD' => 'GET', 'SCRIPT_FILENAME' => $script, 'SCRIPT_NAME' => '/' . basename($script),
            'QUERY_STRING' => http_build_query($query), 'SERVER_PROTOCOL' => 'HTTP/1.1', 'GATEWAY_INTERFACE' => 'CGI/1.1',
        ];
        foreach ($values as $name => $value) {
            $params .= pack('NN', 0x80000000 | strlen($name), 0x80000000 | strlen($value)) . $name . $value;
        }
        // Role 1 is the responder. Without the keep flag, the connection ends with the answer.
        fwrite($stream, self::record(self::BEGIN, pack('nCx5', 1, 0)) . self::record(self::PARAMS, $params)
            . self::record(self::PARAMS, '') . self::record(self::STDIN, ''));

        return $stream;
    }

    private static function record(int $type, string $content): string
    {
        return pack('CCnnCx', 1, $type, 1, strlen($content), 0) . $content;
    }

    private static function body(string $input): string
    {
        $out = $errors = '';
        $ended = false;
        for ($at = 0; $at + 8 <= strlen($input); $at += 8 + $head['length'] + $head['padding']) {
            $head = unpack('Cversion/Ctype/nid/nlength/Cpadding', substr($input, $at, 8));
            $content = substr($input, $at + 8, $head['length']);
            match ($head['type']) {
                self::STDOUT => $out .= $content,
                self::STDERR => $errors .= $content,
                self::END => $ended = true,
                default => null,
            };
        }
        if (!$ended) {
            throw new RuntimeException("php-fpm ended a request without an answer: $out$errors");
        }
        $parts = explode("\r\n\r\n", $out, 2);

        return ($parts[1] ?? '') . $errors;
    }
}
