<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\Console\ExitCode;
use Amqp1\Console\Input;
use Amqp1\Console\NotFound;
use Amqp1\Console\Option;
use Amqp1\Console\Output;
use Amqp1\Console\UsageError;
use Amqp1\Worker\Monitoring\Health;

/**
 * `amqp1 health`: a probe of a worker, or of the broker, in one line.
 *
 * @internal
 */
final class HealthCommand extends Command
{
    public function name(): string
    {
        return 'health';
    }

    public function summary(): string
    {
        return 'Check that a worker, or the broker, is healthy';
    }

    public function help(): string
    {
        return "With --state-file, checks the worker that writes this file (amqp1 work --state-file), and asks no broker:\n"
            . "whether it runs, its loop turns, and its handler is not stuck (--stuck-after of amqp1 work). --ready also\n"
            . "requires that it consumes: it has reached its broker and is not stopping.\n\n"
            . "Without --state-file, requests an answer from the broker (each broker of a configuration).\n\n"
            . 'Prints one line, and ends with 0 if all is well, 1 if the worker is not healthy, 3 if there is no state.';
    }

    public function options(): array
    {
        return [
            new Option('state-file', 'FILE', 'the state file of the worker', 's'),
            new Option('ready', null, 'require that the worker consumes'),
        ];
    }

    public function run(Input $input, Output $output): int
    {
        $input->noArguments();
        $file = $input->string('state-file');
        if ($file === null) {
            if ($input->has('ready')) {
                throw new UsageError('--ready is for a worker: name its --state-file');
            }
            $seconds = self::ping(Target::of($input, false)->any());
            self::say($output, true, sprintf('the broker answered within %.1f ms', $seconds * 1000));

            return ExitCode::OK;
        }
        foreach (['dsn', 'config', 'queue'] as $name) {
            if ($input->has($name)) {
                throw new UsageError("--state-file asks no broker: --$name cannot be used with it");
            }
        }
        $health = Health::of($file) ?? throw new NotFound("No worker has written its state to $file"
            . (is_file($file) ? '' : ': the file does not exist'));
        $isWell = $input->has('ready') ? $health->isReady : $health->isAlive;
        self::say($output, $isWell, $health->text);

        return $isWell ? ExitCode::OK : ExitCode::FAILURE;
    }

    /**
     * @param array<\Amqp1\AmqpQueue> $queues
     *
     * @return float the slowest answer
     */
    private static function ping(array $queues): float
    {
        return max(array_map(static fn ($queue) => $queue->ping(), array_values($queues)));
    }

    private static function say(Output $output, bool $isWell, string $text): void
    {
        if ($output->json) {
            $output->line((string) json_encode(['healthy' => $isWell, 'text' => $text], JSON_UNESCAPED_SLASHES));
        } elseif (!$output->quiet) {
            $output->line(($isWell ? 'ok: ' : 'not ok: ') . $text);
        }
    }
}
