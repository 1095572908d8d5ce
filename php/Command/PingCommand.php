<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\Console\Input;
use Amqp1\Console\Output;
use Amqp1\Exception\ExceptionInterface;

/**
 * `amqp1 ping`: whether the broker answers.
 *
 * @internal
 */
final class PingCommand extends Command
{
    public function name(): string
    {
        return 'ping';
    }

    public function summary(): string
    {
        return 'Check that the broker answers, and how fast';
    }

    public function help(): string
    {
        return 'With a configuration, checks the broker of each pipeline.';
    }

    public function run(Input $input, Output $output): int
    {
        $input->noArguments();
        $answers = $problems = [];
        foreach (Target::of($input, false)->any() as $name => $queue) {
            $answer = ['queue' => $name === '' ? null : (string) $name];
            try {
                $queue->ping();
                // The first one connects.
                $answers[] = $answer + ['seconds' => $queue->ping(), 'broker' => $queue->getBroker()];
            } catch (ExceptionInterface $e) {
                $answers[] = $answer + ['error' => $e->getMessage()];
                $problems[] = $e;
            }
        }
        if ($output->json) {
            $output->json($answers);
        } else {
            $output->table(['QUEUE', 'BROKER', 'MS'], array_map(static fn (array $answer) => [
                $answer['queue'],
                $answer['broker']['product'] . ' ' . $answer['broker']['version'],
                round($answer['seconds'] * 1000, 2),
            ], array_values(array_filter($answers, static fn (array $answer) => !isset($answer['error'])))));
        }

        return $output->problems($problems);
    }
}
