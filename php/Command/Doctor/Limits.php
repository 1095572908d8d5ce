<?php

declare(strict_types=1);

namespace Amqp1\Command\Doctor;

/**
 * What a broker of this kind and version cannot do, and how long it lets a job run.
 *
 * @internal
 */
final class Limits
{
    /**
     * What this version means.
     *
     * @param array{dialect: string, product: string, version: string} $broker
     */
    public static function ofVersion(array $broker): ?Finding
    {
        $name = trim("$broker[product] $broker[version]");
        $isBefore = static fn (string $version): bool => self::isRabbit($broker) && version_compare($broker['version'], $version, '<');

        return match (true) {
            $isBefore('4.0') => Finding::note('broker', "$name speaks AMQP 1.0 by a plugin (rabbitmq_amqp1_0): delays, counts, setup(), requests and more are missing",
                'Update to RabbitMQ 4; docs/brokers.md lists what is missing'),
            $isBefore('4.3') => Finding::ok('broker', "$name has delays, counts and setup(); consumer_timeout and 32 priorities of quorum queues came with 4.3"
                . ($isBefore('4.2') ? ', direct reply-to with 4.2' : '')),
            $broker['dialect'] === 'generic' => Finding::note('broker', "$name is a kind of broker that amqp1 has no dialect for: what is standard works, delays and counts do not",
                'docs/brokers.md lists what works; set the option "dialect" if it is one of these brokers behind a proxy'),
            default => null,
        };
    }

    /**
     * @param array{dialect: string, product: string, version: string, longest_job: float|null} $broker of the queue
     * @param float|null $longest how long the longest job runs, in seconds
     */
    public static function ofJobs(array $broker, string $queue, ?float $longest): ?Finding
    {
        $limit = $broker['longest_job'];
        if ($limit === null) {
            return null;
        }
        [$option, $what] = str_starts_with($broker['dialect'], 'servicebus') ? ['max_lock_renewal', "a job's lock is no longer renewed"]
            : ['consumer_timeout', 'a job is taken back'];
        $own = self::isRabbit($broker) ? '. If RabbitMQ\'s own setting is shorter, that holds: rabbitmqctl eval \'application:get_env(rabbit, consumer_timeout).\''
            : '';
        $text = sprintf('%s after %g s', $what, $limit);

        return match (true) {
            $longest === null => Finding::note('long jobs', $text,
                "If jobs run longer, set the option $option of the queue; --longest-job SECONDS compares$own"),
            $longest >= $limit => Finding::problem('long jobs', sprintf('%s%s, and the longest job runs %g s: it would run again', $queue === '' ? '' : "$queue: ", $text, $longest),
                sprintf("Set '%s' => %d on the queue", $option, (int) ceil($longest * 1.5))
                    . ($option === 'consumer_timeout' ? ' (amqp1 setup says if it exists with another one)' : '')),
            default => Finding::ok('long jobs', sprintf('%s; the longest job runs %g s', $text, $longest)),
        };
    }

    /** @param array{product: string} $broker */
    private static function isRabbit(array $broker): bool
    {
        return stripos($broker['product'], 'rabbit') !== false;
    }
}
