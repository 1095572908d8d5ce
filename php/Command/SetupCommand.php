<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\Console\Input;
use Amqp1\Console\Output;
use Amqp1\Exception\ExceptionInterface;

/**
 * `amqp1 setup`: declares queues, exchanges and bindings.
 *
 * @internal
 */
final class SetupCommand extends Command
{
    public function name(): string
    {
        return 'setup';
    }

    public function summary(): string
    {
        return 'Declare the queues, exchanges and bindings that are missing';
    }

    public function help(): string
    {
        return 'It can be run again: what is there stays. What is there and differs from the configuration is an error,'
            . ' and the others are declared all the same.';
    }

    public function run(Input $input, Output $output): int
    {
        $input->noArguments();
        $results = $problems = [];
        foreach (Target::of($input, true)->queues() as $name => $queue) {
            $problem = null;
            try {
                $queue->setup();
            } catch (ExceptionInterface $e) {
                $problem = $e->getMessage();
                $problems[] = $e;
            }
            $results[] = ['queue' => (string) $name, 'ok' => $problem === null, 'error' => $problem];
        }
        if ($output->json) {
            $output->json($results);
        } else {
            foreach ($results as $result) {
                if ($result['ok']) {
                    $output->line(Output::cell($result['queue']) . ': ready');
                }
            }
        }

        return $output->problems($problems);
    }
}
