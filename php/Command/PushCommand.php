<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\Console\ExitCode;
use Amqp1\Console\Input;
use Amqp1\Console\Option;
use Amqp1\Console\Output;
use Amqp1\Console\UsageError;

/**
 * `amqp1 push`: sends one job.
 *
 * @internal
 */
final class PushCommand extends Command
{
    public function name(): string
    {
        return 'push';
    }

    public function arguments(): string
    {
        return 'NAME';
    }

    public function summary(): string
    {
        return 'Send a job; prints its id when the broker has taken it';
    }

    public function options(): array
    {
        return [
            new Option('payload', 'JSON', 'the payload; @FILE reads it from a file, - from standard input', 'p'),
            new Option('text', 'TEXT', 'a payload that is sent as it is, any bytes; @FILE and - as above'),
            new Option('delay', 'SECONDS', 'not to be delivered sooner'),
            new Option('ttl', 'SECONDS', 'how long it may wait'),
            new Option('priority', 'N', '0 to 255, higher is delivered first (4)'),
            new Option('header', 'NAME=VALUE', 'a header; repeat it for more', 'H', true),
            new Option('id', 'ID', 'the job\'s id; a new UUID otherwise'),
            new Option('trace-id', 'ID', 'the trace id'),
            new Option('group', 'NAME', 'the group (session)'),
            new Option('routing-key', 'KEY', 'the routing key, with an exchange'),
        ];
    }

    public function run(Input $input, Output $output): int
    {
        $name = $input->argument('The job\'s name');
        $options = [
            'delay' => $input->seconds('delay'),
            'ttl' => $input->seconds('ttl'),
            'priority' => $input->int('priority'),
            'headers' => self::headers($input->list('header')),
            'id' => $input->string('id'),
            'trace_id' => $input->string('trace-id'),
            'group' => $input->string('group'),
            'routing_key' => $input->string('routing-key'),
        ];
        $queue = Target::of($input, true)->queue();
        $payload = self::payload($input);
        $id = $queue->push($name, $payload, array_filter($options, static fn ($value) => $value !== null && $value !== []));
        if ($output->json) {
            $output->json(['id' => $id, 'job' => $name, 'queue' => $queue->getName()]);
        } else {
            $output->line($id);
        }

        return ExitCode::OK;
    }

    private static function payload(Input $input): mixed
    {
        if ($input->has('payload') && $input->has('text')) {
            throw new UsageError('--payload and --text exclude each other');
        }
        if ($input->has('text')) {
            return self::read((string) $input->string('text'));
        }
        if (!$input->has('payload')) {
            return null;
        }
        $json = self::read((string) $input->string('payload'));
        try {
            // Objects stay objects: {} would become [].
            $payload = json_decode($json, false, 512, JSON_THROW_ON_ERROR);
            $exact = json_decode($json, false, 512, JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING);
        } catch (\JsonException $e) {
            throw new UsageError("--payload is not JSON ({$e->getMessage()}); --text sends a text as it is");
        }
        if (json_encode($payload) !== json_encode($exact)) {
            throw new UsageError('--payload has a whole number that is too large for PHP and would be rounded: put it in quotes');
        }

        return $payload;
    }

    private static function read(string $value): string
    {
        if ($value !== '-' && !str_starts_with($value, '@')) {
            return $value;
        }
        $file = $value === '-' ? 'php://stdin' : substr($value, 1);
        $text = @file_get_contents($file);

        return $text !== false ? $text : throw new UsageError("$file cannot be read");
    }

    /**
     * @param list<string> $given
     * @return array<string, list<string>>
     */
    private static function headers(array $given): array
    {
        $headers = [];
        foreach ($given as $header) {
            [$name, $value] = explode('=', $header, 2) + [1 => null];
            if ($name === '' || $value === null) {
                throw new UsageError("--header is NAME=VALUE, not \"$header\"");
            }
            $headers[$name][] = $value;
        }

        return $headers;
    }
}
