<?php

// Amqp1\Exception: see amqp1.stub.php.

namespace Amqp1\Exception;

/**
 * Marks every exception of this extension.
 */
interface ExceptionInterface extends \Throwable
{
}

/**
 * A wrong option, DSN or configuration; found before anything is sent.
 */
class ConfigException extends \InvalidArgumentException implements ExceptionInterface
{
}

/**
 * The broker cannot be reached, or the connection was lost.
 */
class ConnectionException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * The broker refused the credentials or the access.
 */
class AuthenticationException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * The deadline passed; the outcome is unknown.
 */
class TimeoutException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * The broker refused the job: rejected, queue full, too large.
 */
class RejectedException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * No queue is bound for the routing key.
 */
class UnroutableException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * The queue or exchange does not exist.
 */
class QueueNotFoundException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * The delivery died with its connection or lock; the job will be delivered again. On Service Bus also when the service
 * did not confirm in time that it is settled: the message says then that it may be delivered again.
 */
class TaskLostException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * The broker, or the system, cannot do what was asked for.
 */
class UnsupportedException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * A payload that cannot be written as JSON, or a body that cannot be read.
 */
class SerializationException extends \RuntimeException implements ExceptionInterface
{
}

/**
 * Some jobs of a pushMany() were not confirmed. The message has the first reasons.
 */
class BatchException extends \RuntimeException implements ExceptionInterface
{
    /**
     * Why each job failed, by its index in the order given.
     *
     * @return array<int<0, max>, ExceptionInterface> each of its own type
     */
    public function getFailures(): array
    {
    }

    /**
     * The ids of the jobs that the broker has taken, by index. They must not be sent again.
     *
     * @return array<int<0, max>, non-empty-string>
     */
    public function getConfirmedIds(): array
    {
    }
}
