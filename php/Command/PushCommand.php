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
        return 'Push a job and print its id once the broker has accepted it';
    }

    public function options(): array
    {
        return [
            new Option('payload', 'JSON', 'the payload; @FILE reads a file, - reads standard input', 'p'),
            new Option('text', 'TEXT', 'a payload to send as is, any bytes; @FILE and - as above'),
            new Option('delay', 'SECONDS', 'deliver the job after this time'),
            new Option('ttl', 'SECONDS', 'discard the job if it waits longer'),
            new Option('priority', 'N', '0 to 255, highest first (4)'),
            new Option('header', 'NAME=VALUE', 'a header; repeat the option for more', 'H', true),
            new Option('id', 'ID', 'the job\'s id (a new UUID)'),
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
            throw new UsageError('--payload and --text cannot be used together');
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
            throw new UsageError("--payload is not valid JSON ({$e->getMessage()}); use --text to send text as is");
        }
        if (json_encode($payload) !== json_encode($exact)) {
            throw new UsageError('--payload contains an integer that is too large for PHP and would be rounded: put it in quotes');
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

        return $text !== false ? $text : throw new UsageError("Cannot read $file");
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
                throw new UsageError("--header must be NAME=VALUE, not \"$header\"");
            }
            $headers[$name][] = $value;
        }

        return $headers;
    }
}
