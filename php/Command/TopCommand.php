<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\Command\Top\Board;
use Amqp1\Command\Top\ForkedProbes;
use Amqp1\Command\Top\InlineProbes;
use Amqp1\Command\Top\Live;
use Amqp1\Command\Top\Plain;
use Amqp1\Command\Top\Probe;
use Amqp1\Command\Top\Watch;
use Amqp1\Command\Top\Workers;
use Amqp1\Console\Input;
use Amqp1\Console\Option;
use Amqp1\Console\Output;
use Amqp1\Console\Screen\Terminal;
use Amqp1\Console\UsageError;

/**
 * `amqp1 top`: what queues, workers and failed jobs do, as they do it.
 *
 * @internal
 */
final class TopCommand extends Command
{
    private const INTERVAL = 2.0;
    private const SHORTEST_INTERVAL = 0.1;

    /** The broker's time for an answer with figures, without --timeout. */
    private const TIMEOUT = 5.0;

    /** Processes that ask for figures: a broker that is slow to answer must not keep others waiting. */
    private const PROBES = 4;

    public function name(): string
    {
        return 'top';
    }

    public function summary(): string
    {
        return 'Watch queues and workers, and look after failed jobs, in the terminal';
    }

    public function help(): string
    {
        return "In a terminal, shows a screen with keys (? lists them): select a queue, look at its failed jobs, retry or\n"
            . "delete them. Elsewhere, and with --once or --json, prints a table or a JSON object each time.\n\n"
            . "CHANGE/S is how many open jobs (ready, delayed, reserved) there are more each second. Brokers do not tell\n"
            . "how many came and went.\n\n"
            . 'Looking at figures takes no job. Failed jobs are read by taking and returning them, and only at a key.';
    }

    public function options(): array
    {
        return [
            new Option('interval', 'SECONDS', 'ask the brokers at this interval (2)', 'i'),
            new Option('once', null, 'print the figures once, after one interval, with an exit code as "stats"'),
            new Option('state-file', 'FILE', "the state file of a worker on this machine, or a pattern ('/run/amqp1/*.state')", 's', true),
        ];
    }

    public function brokerOptions(): array
    {
        return Target::options(true, '5; for failed jobs 30');
    }

    public function run(Input $input, Output $output): int
    {
        $input->noArguments();
        $interval = $input->seconds('interval') ?? self::INTERVAL;
        if ($interval < self::SHORTEST_INTERVAL) {
            throw new UsageError('--interval must be at least ' . self::SHORTEST_INTERVAL . ' seconds');
        }
        $open = static function (float $timeout) use ($input): array {
            if (!$input->has('timeout')) {
                ini_set('amqp1.timeout', (string) $timeout);
            }

            return Target::of($input, false)->queues();
        };
        // Here too, because a mistake is to be told before there is a screen. No connection is made.
        $names = array_map('strval', array_keys($open(self::TIMEOUT)));
        $probe = new Probe(static fn () => $open(self::TIMEOUT));
        $board = new Board($names);
        $workers = new Workers($input->list('state-file'));
        $canFork = function_exists('pcntl_fork') && function_exists('posix_kill');
        $probes = $canFork ? new ForkedProbes($probe, min(self::PROBES, count($names))) : new InlineProbes($probe);
        $watch = new Watch($board, $names, $probes, $workers, $interval);
        $terminal = $input->has('once') || $output->json ? null : Terminal::open($why);
        if ($terminal === null) {
            if (isset($why)) {
                $output->note("No screen: $why. The figures follow every $interval s");
            }

            return (new Plain($board, $watch, $workers, $probes, $names, $output))->run($input->has('once'));
        }
        $actions = new ForkedProbes(new Probe(static fn () => $open((float) get_cfg_var('amqp1.timeout') ?: 30.0)), 1);

        return (new Live($terminal, $board, $workers, $watch, $probes, $actions))->run();
    }
}
