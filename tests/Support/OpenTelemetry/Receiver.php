<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\OpenTelemetry;

use Amqp1\Tests\Support\Child;

/**
 * Receives spans over OTLP/HTTP (JSON), as a collector does, in a process of its own: receiver.php. It writes a line for each
 * request, as a collector's file exporter does.
 */
final class Receiver
{
    public readonly string $endpoint;
    private readonly string $file;
    private readonly Child $server;

    public function __construct()
    {
        $this->file = sys_get_temp_dir() . '/amqp1-otlp-' . bin2hex(random_bytes(6));
        touch($this->file);
        $this->server = Child::command([PHP_BINARY, '-S', '127.0.0.1:0', __DIR__ . '/receiver.php'], ['OTLP_FILE' => $this->file]);
        preg_match('#\((http://[\d.:]+)\) started#', $this->server->waitFor('Development Server'), $match);
        $this->endpoint = $match[1];
    }

    /** @return list<string> the requests, as they came */
    public function lines(): array
    {
        return file($this->file, FILE_IGNORE_NEW_LINES) ?: [];
    }

    /** @return list<array{scope: string, span: array<string, mixed>}> */
    public function spans(): array
    {
        $all = [];
        foreach ($this->lines() as $line) {
            foreach (json_decode($line, true, 64, JSON_THROW_ON_ERROR)['resourceSpans'] as $of) {
                foreach ($of['scopeSpans'] as $scope) {
                    foreach ($scope['spans'] as $span) {
                        $all[] = ['scope' => $scope['scope']['name'], 'span' => $span];
                    }
                }
            }
        }

        return $all;
    }

    public function __destruct()
    {
        $this->server->signal(SIGKILL);
        @unlink($this->file);
    }
}
