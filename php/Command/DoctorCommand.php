<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\AmqpQueue;
use Amqp1\Command\Doctor\Address;
use Amqp1\Command\Doctor\Advice;
use Amqp1\Command\Doctor\Finding;
use Amqp1\Command\Doctor\Limits;
use Amqp1\Command\Doctor\Machine;
use Amqp1\Console\ExitCode;
use Amqp1\Console\Input;
use Amqp1\Console\Option;
use Amqp1\Console\Output;
use Amqp1\Console\UsageError;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Exception\UnsupportedException;

/**
 * `amqp1 doctor`: what this machine has and lacks, each with the line that mends it.
 *
 * @internal
 */
final class DoctorCommand extends Command
{
    /** Seconds to wait for a connection: a firewall that drops packets answers never. */
    private const CONNECT_TIMEOUT = 5.0;

    public function name(): string
    {
        return 'doctor';
    }

    public function summary(): string
    {
        return 'Check this machine, the broker and the queues, and say what to do about problems';
    }

    public function help(): string
    {
        return "Run it first if something does not work. It looks at PHP and the extension, at php.ini, and with a broker\n"
            . "(--dsn, --config, AMQP1_DSN, AMQP1_CONFIG) at the network, the login, the broker's version, the queues, and how\n"
            . "long the broker lets a job run. It changes nothing. With --setup, it also declares the queues as a push would, and so\n"
            . "shows whether the user may.\n\n"
            . 'It ends with 0 if there is no problem; notes are none. It also runs in a PHP that does not load the extension.';
    }

    public function options(): array
    {
        return [
            new Option('longest-job', 'SECONDS', 'how long the longest job runs, to compare with the broker\'s limit'),
            new Option('setup', null, 'declare the queues as amqp1 setup does: may this user, and are they as configured?'),
            new Option('state-file', 'FILE', 'a state file that the worker is to write: can it?', 's'),
        ];
    }

    public function run(Input $input, Output $output): int
    {
        $input->noArguments();
        $longest = $input->seconds('longest-job');
        $findings = Machine::findings();
        $file = $input->string('state-file');
        if ($file !== null) {
            $findings[] = self::stateFile($file);
        }
        if (extension_loaded('amqp1')) {
            array_push($findings, ...$this->broker($input, $longest));
        }
        $problems = count(array_filter($findings, static fn (Finding $finding) => $finding->state === Finding::PROBLEM));
        $this->show($output, $findings, $problems);

        return $problems === 0 ? ExitCode::OK : ExitCode::FAILURE;
    }

    /** @param list<Finding> $findings */
    private function show(Output $output, array $findings, int $problems): void
    {
        if ($output->json) {
            $output->json(array_map(static fn (Finding $finding) => array_filter((array) $finding, static fn ($value) => $value !== null), $findings));

            return;
        }
        foreach ($findings as $finding) {
            if ($output->quiet && $finding->state !== Finding::PROBLEM) {
                continue;
            }
            $output->line(sprintf('%-7s  %s: %s', $finding->state, $finding->subject, Output::printable($finding->text)));
            if ($finding->mend !== null) {
                $output->line('         -> ' . Output::printable($finding->mend));
            }
        }
        if (!$output->quiet) {
            $output->line($problems === 0 ? 'No problems.' : ($problems === 1 ? '1 problem.' : "$problems problems."));
        }
    }

    private static function stateFile(string $file): Finding
    {
        if ($file === '' || is_dir($file)) {
            return Finding::problem('state file', $file === '' ? '--state-file is empty' : "$file is a folder", 'Name the file that the worker is to write');
        }
        $place = file_exists($file) ? $file : dirname($file);

        return is_writable($place) && is_writable(dirname($file)) ? Finding::ok('state file', "$file can be written")
            : Finding::problem('state file', Machine::user() . " cannot write to $place",
                'Use a folder that belongs to ' . Machine::user() . ', such as one from systemd\'s RuntimeDirectory=');
    }

    /** @return list<Finding> */
    private function broker(Input $input, ?float $longest): array
    {
        try {
            $target = Target::of($input, $input->has('setup'));
        } catch (UsageError $e) {
            $isMissing = str_starts_with($e->getMessage(), 'No broker given');

            return [$isMissing ? Finding::note('broker', 'none was given, so none was checked', 'Set AMQP1_DSN or AMQP1_CONFIG, or give --dsn or --config')
                : Finding::problem('broker', $e->getMessage(), 'See: amqp1 doctor --help')];
        }
        try {
            // Before the network: the hosts of a wrong DSN may be a part of its password.
            $queues = $target->any();
        } catch (UsageError|ExceptionInterface $e) {
            return [Finding::problem('configuration', $e->getMessage(), 'docs/options.md and docs/configuration.md list what can be written')];
        }
        $findings = [];
        foreach ($target->dsns() as $dsn) {
            foreach (Address::of($dsn) as $address) {
                $findings[] = Address::finding($address, self::CONNECT_TIMEOUT);
            }
        }
        $unreached = array_filter($findings, static fn (Finding $finding) => $finding->state === Finding::PROBLEM);
        if ($findings !== [] && count($unreached) === count($findings)) {
            return $findings;
        }
        $seen = [];
        foreach ($queues as $name => $queue) {
            array_push($findings, ...$this->queue((string) $name, $queue, $longest, $input->has('setup'), $seen));
        }

        return $findings;
    }

    /**
     * @param array<string, true> $seen the brokers that have been described, and the errors that have been told
     *
     * @return list<Finding>
     */
    private function queue(string $name, AmqpQueue $queue, ?float $longest, bool $setup, array &$seen): array
    {
        $findings = [];
        try {
            $queue->ping();
            $seconds = $queue->ping();
            $broker = $queue->getBroker();
            $told = "$broker[product] $broker[version] $broker[dialect]";
            if (!isset($seen[$told])) {
                $findings[] = Finding::ok('broker', sprintf('%s answers in %.1f ms (dialect %s)', trim("$broker[product] $broker[version]"), $seconds * 1000, $broker['dialect']));
                $findings[] = Limits::ofVersion($broker);
                $seen[$told] = true;
            }
        } catch (ExceptionInterface $e) {
            $finding = Advice::about($e);
            $isNew = !isset($seen[$finding->text]);
            $seen[$finding->text] = true;

            return $isNew ? [$finding] : [];
        }
        if ($name !== '') {
            $findings[] = ($setup ? self::declared($queue) : null) ?? self::stats($name, $queue, $broker);
        }
        $limit = Limits::ofJobs($broker, $name, $longest);
        if ($limit !== null && !isset($seen[$limit->text])) {
            $findings[] = $limit;
            $seen[$limit->text] = true;
        }

        return array_values(array_filter($findings));
    }

    /** Null: it is there now, or the broker declares queues in its own way. */
    private static function declared(AmqpQueue $queue): ?Finding
    {
        try {
            $queue->setup();
        } catch (UnsupportedException) {
            return null;
        } catch (ExceptionInterface $e) {
            return Advice::about($e);
        }

        return null;
    }

    /** @param array{dialect: string} $broker */
    private static function stats(string $name, AmqpQueue $queue, array $broker): Finding
    {
        try {
            $stats = $queue->stats();
        } catch (QueueNotFoundException) {
            return Finding::note('queue', "$name does not exist yet", 'The first push or worker declares it, if this user may: amqp1 doctor --setup tries');
        } catch (UnsupportedException) {
            return $broker['dialect'] !== 'rabbitmq3' ? Finding::ok('queue', "$name: this broker tells no counts")
                : Finding::note('queue', "$name: RabbitMQ 3 tells neither counts nor what this user may do", 'rabbitmqctl list_permissions and list_queues tell it');
        } catch (ExceptionInterface $e) {
            return Advice::about($e);
        }
        if ($stats['consumers'] === 0 && $stats['ready'] > 0) {
            return Finding::note('queue', "$name: $stats[ready] jobs wait, and nobody consumes", 'Is a worker running for this queue and virtual host? amqp1 work starts one');
        }

        return Finding::ok('queue', "$name: $stats[ready] ready, " . ($stats['consumers'] ?? 'an unknown number of') . ' consumers');
    }
}
