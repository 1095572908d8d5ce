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
        return 'Declare missing queues, exchanges and bindings';
    }

    public function help(): string
    {
        return "Can be run repeatedly: what already exists stays as it is. If something exists but differs from the\n"
            . 'configuration, that is an error; everything else is still declared.';
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
