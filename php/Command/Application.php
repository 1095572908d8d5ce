<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\Console\ExitCode;
use Amqp1\Console\Input;
use Amqp1\Console\NotFound;
use Amqp1\Console\Option;
use Amqp1\Console\Output;
use Amqp1\Console\OutputError;
use Amqp1\Console\Suggestion;
use Amqp1\Console\UsageError;
use Amqp1\Exception\ExceptionInterface;
use Throwable;

/**
 * The command `amqp1`: finds out which of its commands is meant, and what it ends with.
 *
 * @internal
 */
final class Application
{
    /** @var array<string, Command> */
    private readonly array $commands;

    public function __construct()
    {
        $commands = [
            new WorkCommand(), new PushCommand(), new StatsCommand(), new TopCommand(), new FailedListCommand(),
            new FailedShowCommand(), new FailedRetryCommand(), new FailedFlushCommand(), new SetupCommand(),
            new PingCommand(), new HealthCommand(), new DoctorCommand(),
        ];
        $this->commands = array_combine(array_map(static fn (Command $command) => $command->name(), $commands), $commands);
    }

    /**
     * @param list<string> $words without the program's name
     * @param resource $results
     * @param resource $notes
     */
    public function run(array $words, $results = STDOUT, $notes = STDERR): int
    {
        $plain = new Output($results, $notes);
        $command = null;
        try {
            [$command, $words] = $this->command($words);
            $known = [...($command === null ? [] : [...$command->options(), ...$command->brokerOptions()]), ...self::options()];
            $input = Input::parse($words, $known);
            if ($input->has('version')) {
                $plain->line('amqp1 ' . phpversion('amqp1'));

                return ExitCode::OK;
            }
            if ($command === null || $input->has('help')) {
                $plain->line($command === null ? $this->overview() : self::usage($command));

                return ExitCode::OK;
            }

            return $command->run($input, new Output($results, $notes, $input->has('json'), $input->has('quiet')));
        } catch (Throwable $e) {
            $plain->error('amqp1: ' . Output::printable($e->getMessage() ?: $e::class, true) . self::place($e));
            if ($e instanceof UsageError) {
                $plain->error('See: amqp1 ' . ($command === null ? '' : $command->name() . ' ') . '--help');
            }

            return ExitCode::of($e);
        }
    }

    /** Of an error in the application's own files, where it is. */
    private static function place(Throwable $e): string
    {
        return $e instanceof UsageError || $e instanceof NotFound || $e instanceof OutputError
            || $e instanceof ExceptionInterface
            ? '' : ' (' . $e::class . " in {$e->getFile()}:{$e->getLine()})";
    }

    /** @return list<Option> */
    private static function options(): array
    {
        return [
            new Option('json', null, 'print JSON'),
            new Option('quiet', null, 'print only results and errors', 'q'),
            new Option('help', null, 'show this help', 'h'),
            new Option('version', null, 'show the version of the extension', 'V'),
        ];
    }

    /**
     * The first word is the command; `help NAME` is `NAME --help`.
     *
     * @param list<string> $words
     * @return array{Command|null, list<string>}
     */
    private function command(array $words): array
    {
        if ($words === [] || in_array($words[0], ['-h', '--help', '-V', '--version'], true)) {
            return [null, $words];
        }
        $name = array_shift($words);
        if ($name === 'help') {
            return $words === [] ? [null, []] : [$this->named($words[0]), ['--help']];
        }
        if (str_starts_with($name, '-')) {
            throw new UsageError("Put the command before its options: amqp1 COMMAND $name …");
        }

        return [$this->named($name), $words];
    }

    private function named(string $name): Command
    {
        return $this->commands[$name] ?? throw new UsageError("Unknown command \"$name\""
            . Suggestion::for($name, array_keys($this->commands)));
    }

    private function overview(): string
    {
        $lines = [
            'amqp1 ' . phpversion('amqp1') . ': job queues over AMQP 1.0', '',
            'Usage: amqp1 COMMAND [options]', '', 'Commands:',
        ];
        foreach ($this->commands as $command) {
            $lines[] = sprintf('  %-14s %s', $command->name(), $command->summary());
        }

        return implode("\n", [...$lines, '', 'Broker options, for all commands:', ...self::listed(Target::options()), '',
            'General options, for all commands:', ...self::listed(self::options()), '', 'Exit codes:',
            '  0  success',
            '  1  failure: the broker refused, or an unexpected error',
            '  2  invalid command line or configuration; nothing was done',
            '  3  no such queue, or no such failed job',
            '  4  the broker is unreachable, the connection was lost, or the login was refused',
            '  5  no answer in time: it is unknown whether the command took effect',
            '', 'Run "amqp1 help COMMAND" for the options of a command.']);
    }

    private static function usage(Command $command): string
    {
        $usage = rtrim("Usage: amqp1 {$command->name()} [options] {$command->arguments()}");
        $lines = [$usage, '', $command->summary() . '.'];
        if ($command->help() !== '') {
            array_push($lines, '', $command->help());
        }
        if ($command->options() !== []) {
            array_push($lines, '', 'Options:', ...self::listed($command->options()));
        }

        return implode("\n", [...$lines, '', 'Broker options:', ...self::listed($command->brokerOptions()), '',
            'General options:', ...self::listed(self::options())]);
    }

    /**
     * @param list<Option> $options
     * @return list<string>
     */
    private static function listed(array $options): array
    {
        return array_map(static fn (Option $option) => sprintf('  %-31s %s', $option->usage(), $option->help), $options);
    }
}
